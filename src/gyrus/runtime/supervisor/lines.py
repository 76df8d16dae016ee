"""Lines from the bytes of a pipe."""

from __future__ import annotations

LONGEST_LINE = 64 * 1024
"""Bytes. Longer lines are split."""
CONTINUED = " […]"
"""End of every part but the last of a line that was too long."""


class LineCutter:
    """A buffer of the incomplete last line, with at most ``longest`` bytes of it."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now, without their line ends."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [part for line in whole for part in self._parts(line)]
        while len(self._rest) > self._longest:
            lines.append(self._part(self._rest[: self._longest]) + CONTINUED)
            self._rest = self._rest[self._longest :]
        return lines

    def finish(self) -> list[str]:
        """Return the incomplete last line, if any, because the pipe is closed."""
        rest, self._rest = self._rest, b""
        return [self._part(rest)] if rest else []

    def _parts(self, line: bytes) -> list[str]:
        starts = range(0, max(len(line), 1), self._longest)
        parts = [self._part(line[start : start + self._longest]) for start in starts]
        return [part + CONTINUED for part in parts[:-1]] + parts[-1:]

    @staticmethod
    def _part(data: bytes) -> str:
        return data.removesuffix(b"\r").decode(errors="replace")
