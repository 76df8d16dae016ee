"""Write the Helm chart in charts/gyrus from the manifests of ``gyrus cluster install``.

scripts/chart.py            writes the files
scripts/chart.py --check    fails if a file is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

from gyrus.cluster.chart.files import chart_files

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "charts" / "gyrus"


def main(arguments: list[str]) -> int:
    files = {TARGET / name: text for name, text in chart_files().items()}
    generated = set((TARGET / "templates").glob("*"))
    leftovers = generated - files.keys()
    if arguments != ["--check"]:
        for file in leftovers:
            file.unlink()
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return 0
    stale = [file for file, text in files.items() if not file.exists() or file.read_text("utf-8") != text]
    for file in sorted({*stale, *leftovers}):
        remedy = "write it again: .venv/bin/python scripts/chart.py"
        print(f"{file.relative_to(ROOT)} is not current; {remedy}")  # noqa: T201
    return 1 if stale or leftovers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
