"""The first program in an image that the user built for a handler: ``python3 /gyrus/start.py``.

The fetcher has put it into the pod's volume, beside the runtime and its compiled packages. It checks that the
image's Python can load them, puts the image's own packages beside them, and becomes the supervisor. It needs
nothing but the standard library, and Python 3.7 can read it.
"""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from typing import Any, NoReturn

SETTINGS = "/gyrus/start.json"
ENVIRONMENT = "/gyrus/environments/image"
TERMINATION_LOG = "/dev/termination-log"


def mismatch(settings: dict[str, Any], soabi: str | None, version: str) -> str:
    """Return why the image's Python cannot run the runtime. Returns "" if it can.

    ``soabi``: the name of its binary interface, such as ``cpython-311-x86_64-linux-gnu``.
    """
    if soabi == settings["soabi"]:
        return ""
    image, python = settings["image"], settings["python"]
    return (
        f"the image {image} has Python {version} ({soabi}), and a handler's image needs Python {python} "
        f"({settings['soabi']}); build it from an image such as python:{python}-slim"
    )


def complete(environment: str, executable: str, packages: list[str]) -> None:
    """Complete the environment: its interpreter is the image's, and its packages include the image's."""
    folder = os.path.join(environment, "bin")
    if os.path.isdir(folder):  # the container was started before
        return
    with open(os.path.join(environment, "pyvenv.cfg"), "w") as file:
        file.write(f"home = {os.path.dirname(executable)}\ninclude-system-site-packages = false\n")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with open(os.path.join(environment, "lib", version, "site-packages", "image.pth"), "w") as file:
        file.writelines(f"import site; site.addsitedir({path!r})\n" for path in packages)
    fresh = f"{folder}.new"
    if not os.path.isdir(fresh):
        os.mkdir(fresh)
        os.symlink(executable, os.path.join(fresh, "python"))
    os.rename(fresh, folder)


def main(arguments: list[str]) -> NoReturn:
    """Become the supervisor, or exit with 1 if that is impossible."""
    with open(SETTINGS) as file:
        settings = json.load(file)
    fault = mismatch(settings, sysconfig.get_config_var("SOABI"), sys.version.split()[0])
    if fault:
        with open(TERMINATION_LOG, "w") as file:
            json.dump({"reason": "DependencyFailure", "message": fault, "lines": []}, file)
        sys.exit(f"DependencyFailure: {fault}")
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    complete(ENVIRONMENT, executable, site.getsitepackages())
    python = os.path.join(ENVIRONMENT, "bin", "python")
    os.execv(python, [python, "-I", "-m", "gyrus.runtime.supervisor", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
