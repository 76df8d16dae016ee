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
        lines: list[str] = []
        for line in whole:
            rest = self._cut(line, lines)
            lines.append(self._part(rest))
        self._rest = self._cut(self._rest, lines)
        return lines

    def finish(self) -> list[str]:
        """Return the incomplete last line, if any, because the pipe is closed."""
        rest, self._rest = self._rest, b""
        return [self._part(rest)] if rest else []

    def _cut(self, line: bytes, lines: list[str]) -> bytes:
        """Append the parts but the last one to ``lines``, and return that."""
        while len(line) > self._longest:
            end = _character_boundary(line, self._longest)
            lines.append(self._part(line[:end]) + CONTINUED)
            line = line[end:]
        return line

    @staticmethod
    def _part(data: bytes) -> str:
        return data.removesuffix(b"\r").decode(errors="replace")


def _character_boundary(line: bytes, end: int) -> int:
    """Return the largest index up to ``end`` that does not split a character of UTF-8."""
    for index in range(end, max(end - 4, 0), -1):
        if line[index] & 0xC0 != 0x80:  # not a continuation byte
            return index
    return end
