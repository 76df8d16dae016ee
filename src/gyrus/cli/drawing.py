"""Charts as files: SVG directly, PNG through a renderer that is installed on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.simulator.panels import WIDTH

SCALE = 2
"""Pixels of the PNG per pixel of the SVG."""
RENDERERS: Mapping[str, tuple[str, ...]] = {
    "rsvg-convert": ("--zoom", str(SCALE), "--background-color", "white", "--output", "{png}", "{svg}"),
    "resvg": ("--zoom", str(SCALE), "--background", "white", "{svg}", "{png}"),
    "inkscape": (
        "{svg}", "--export-type=png", f"--export-width={SCALE * WIDTH}", "--export-background=white",
        "--export-filename={png}",
    ),
    **dict.fromkeys(
        ("chromium", "chromium-browser", "google-chrome"),
        (
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--force-device-scale-factor={SCALE}", f"--window-size={WIDTH},{{height}}", "--screenshot={png}",
            "{svg}",
        ),
    ),
}  # fmt: skip
"""Programs and their arguments; the first installed one is used."""


def check_drawable(file: Path) -> None:
    """Check, before any long work, that the chart can be written. Raises WrongInput."""
    if file.suffix.lower() not in (".svg", ".png"):
        raise WrongInput(
            f"{file} is neither an .svg nor a .png file.", remedy="Write for example --plot run.svg."
        )
    if not file.absolute().parent.is_dir():
        raise WrongInput(f"{file.name} cannot be written: there is no folder {file.parent}.")
    if file.suffix.lower() == ".png" and not _renderer():
        raise WrongInput(
            f"A PNG needs one of these programs, and none is installed: {', '.join(RENDERERS)}.",
            remedy=f"Install one, or use --plot {file.with_suffix('.svg')}.",
        )


def draw(text: str, file: Path) -> None:
    """Draw an SVG document into a file. Raises CommandFailure."""
    try:
        if file.suffix.lower() == ".svg":
            file.write_text(text, encoding="utf-8")
        else:
            _render(text, file)
    except OSError as error:
        raise CommandFailure(f"{file} cannot be written: {error.strerror}.") from error


def _height(text: str) -> int:
    """Return the height of an SVG document in pixels."""
    found = re.search(r'<svg[^>]* height="(\d+)"', text)
    return int(found[1]) if found else WIDTH


def _renderer() -> str | None:
    return next((name for name in RENDERERS if shutil.which(name)), None)


def _render(text: str, file: Path) -> None:
    name = _renderer() or ""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "picture.svg"
        source.write_text(text, encoding="utf-8")
        values = {"svg": source, "png": file.absolute(), "height": _height(text)}
        arguments = [part.format(**values) for part in RENDERERS[name]]
        ran = subprocess.run([name, *arguments], capture_output=True, text=True, check=False, timeout=120)
    if ran.returncode or not file.is_file():
        raise CommandFailure(f"{name} failed to render {file}.", details=ran.stderr.strip())
