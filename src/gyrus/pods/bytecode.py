"""The compilation of an environment's bytecode, which replicas would otherwise do at each start."""

from __future__ import annotations

import asyncio
from pathlib import Path

UNUSED = r"/tests?/"
"""Modules that no replica imports: the tests of packages, a third of all."""


async def compile_bytecode(environment: Path, *others: Path) -> bool:
    """Compile the modules of an environment and of other folders. Return True if it has run to its end.

    Modules that cannot be compiled, as those for other versions of Python, are skipped. The bytecode is valid
    whatever the modules' times are, because the modules never change. Cancelling kills the compiler.
    """
    process = await asyncio.create_subprocess_exec(
        environment / "bin/python", "-I", "-m", "compileall", "-qq", "-j", "0", "-x", UNUSED,
        "--invalidation-mode", "unchecked-hash", environment / "lib", *others,
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return await process.wait() >= 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
