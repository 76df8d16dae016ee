"""Sample payloads in a project: files that the commands after a deploy send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gyrus.cli.output import print_note, warning

SAMPLE = "sample.json"
LARGEST = 8 * 2**20
"""Bytes of a sample. A larger payload is no example."""


class UnusableSample(Exception):
    """A sample file that is no payload. The text names the file, the place in it, and the reason."""


def candidates(spec: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    """Return the places of an API's sample, the first choice first.

    ``NAME.sample.json`` comes before ``sample.json``, and each beside the handler before beside the YAML.
    """
    handler: Mapping[str, Any] = spec.get("handler") or {}
    folders = dict.fromkeys(((folder / handler["path"]).parent if handler else folder, folder))
    names = (f"{spec['name']}.{SAMPLE}", SAMPLE)
    return tuple(folder / name for name in names for folder in folders)


def find_sample(spec: Mapping[str, Any], folder: Path) -> Path | None:
    """Return the API's sample file, checked. Returns None if there is none. Raises UnusableSample."""
    from gyrus.spec.quantities import parse_body_size

    for file in candidates(spec, folder):
        if file.exists():
            check_sample(file, min(LARGEST, parse_body_size(spec.get("max_body", LARGEST))))
            return file
    return None


def check_sample(file: Path, most: int) -> None:
    """Check that the file is JSON of at most ``most`` bytes. Raises UnusableSample."""
    import orjson

    from gyrus.spec.plain_file import NotPlain, read_plain_file

    try:
        content = read_plain_file(file, most)
    except NotPlain as fault:
        raise UnusableSample(f"{file}: the sample payload {fault}, not a file") from fault
    except OSError as fault:
        raise UnusableSample(f"{file}: the sample payload cannot be read: {fault.strerror}") from fault
    if len(content) > most:
        raise UnusableSample(f"{file}: the sample payload is larger than {most:,} bytes")
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        place = f"{file}:{fault.lineno}:{fault.colno}"
        raise UnusableSample(f"{place}: the sample payload is not JSON: {fault.msg}") from fault


def usable_samples(specs: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """Return the sample file of each API that has one. Print a warning for each file that is unusable."""
    samples: dict[str, Path] = {}
    faults: dict[str, None] = {}
    for spec in specs:
        try:
            if (file := find_sample(spec, folder)) is not None:
                samples[spec["name"]] = file
        except UnusableSample as fault:
            faults[str(fault)] = None
    for fault in faults:
        print_note(warning(f"{fault}. Correct it, and the next deploy shows a command with it."))
    return samples
