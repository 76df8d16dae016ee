"""The operator's own log: a rotated file, and the terminal when it runs in the foreground."""

from __future__ import annotations

import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from gyrus.operator.repeated_lines import FoldedLines

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"
_BYTES = 16 * 1024 * 1024


def set_up_logging(file: Path, *, foreground: bool) -> None:
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handlers: list[logging.Handler] = [RotatingFileHandler(file, maxBytes=_BYTES, backupCount=3)]
    if foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[FoldedLines(*handlers)], force=True)
    for noisy in ("uvicorn.access", "alembic", "sqlalchemy.engine", "httpx2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
