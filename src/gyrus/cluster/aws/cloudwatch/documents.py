"""Lines of the log as JSON documents of CloudWatch, and back. Pure.

A document has the labels of its line beside the message, so that Logs Insights finds them as fields. A
message that is a JSON object stays one: its fields are ``message.NAME``. A message that exceeds the limit of
an event is in several documents, each with its number ``part`` of ``parts``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gyrus.cluster.aws.cloudwatch.events import EVENT, OVERHEAD, LogEvent, event
from gyrus.contract.operator import LogLine

LONGEST_ID = 256
"""Characters of a request's id that are kept: a client may choose it."""
REMEMBERED = 20_000
"""Documents that are remembered to leave out repeated ones, and lines of which parts are missing so far."""


class LogDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The JSON of an event."""

    time: float
    """Seconds since the epoch. The event's own time has whole milliseconds only."""
    message: msgspec.Raw
    """A JSON string, or the object that the message is."""
    id: str
    """Equal in two events only if one repeats the other: a batch may have been sent twice."""
    api: str = ""
    replica: str = ""
    revision: int = 0
    level: str | None = None
    request_id: str | None = None
    stream: str = "stdout"
    process: int = 0
    run: int = 0
    part: int = 0
    parts: int = 0


_decoder = msgspec.json.Decoder(LogDocument)
_encoder = msgspec.json.Encoder()


def events_of(
    lines: Iterable[LogLine], number: int, *, api: str = "", revision: int = 0, longest: int = EVENT
) -> Iterator[LogEvent]:
    """Yield the events of a batch of lines. ``number``: another one for each batch of a stream.

    ``longest``: bytes of an event.
    """
    for index, line in enumerate(lines):
        document = LogDocument(
            time=line.time,
            message=msgspec.Raw(b'""'),
            id=f"{number}.{index}",
            api=api,
            replica=line.replica,
            revision=revision,
            level=line.level,
            request_id=_valid(line.request_id[:LONGEST_ID]) if line.request_id else None,
            stream=line.stream,
            process=line.process,
            run=line.run,
        )
        yield from _events(document, _valid(line.message), longest)


def _events(document: LogDocument, message: str, longest: int) -> Iterator[LogEvent]:
    space = longest - OVERHEAD - len(_encoder.encode(document)) - len(',"part":99999,"parts":99999')
    if (raw := _json(message)) and len(raw) <= space:
        yield _event(document, raw)
        return
    pieces = list(_pieces(message, space))
    for number, piece in enumerate(pieces, 1):
        marked = msgspec.structs.replace(document, part=number, parts=len(pieces))
        yield _event(document if len(pieces) == 1 else marked, piece)


def _event(document: LogDocument, message: bytes) -> LogEvent:
    whole = msgspec.structs.replace(document, message=msgspec.Raw(message))
    return event(document.time, _encoder.encode(whole).decode())


def _json(message: str) -> bytes:
    """Return the message itself if it is a JSON object, or else as a JSON string."""
    if message.startswith("{") and message.endswith("}"):
        try:
            msgspec.json.decode(message)
        except (msgspec.MsgspecError, RecursionError):
            pass
        else:
            return message.encode()
    return _encoder.encode(message)


def _pieces(message: str, space: int) -> Iterator[bytes]:
    """Yield JSON strings of at most so many bytes, which together are the message."""
    raw = _encoder.encode(message)
    if len(raw) <= space or len(message) <= 1:
        yield raw
        return
    middle = len(message) // 2
    yield from _pieces(message[:middle], space)
    yield from _pieces(message[middle:], space)


def _valid(text: str) -> str:
    """Return the text with what UTF-8 cannot represent in another notation."""
    return text.encode("utf-8", "backslashreplace").decode()


def batch_number(text: str) -> int | None:
    """Return the number of the batch that an event is of. Returns None if gyrus did not write the event."""
    document = _decoded(text)
    number = document.id.partition(".")[0] if document else ""
    return int(number) if number.isdecimal() else None


class DocumentReader:
    """Turns events in the order of their times into lines: each once, and joined from its parts."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._parts: OrderedDict[tuple[str, str], dict[int, LogDocument]] = OrderedDict()

    def lines(self, stream: str, text: str) -> Iterator[LogLine]:
        """Yield the line that is complete with this event of a stream, if one is.

        An event that gyrus did not write is left out.
        """
        document = _decoded(text)
        if document is None or self._is_repeated(stream, document):
            return
        if document.parts <= 1:
            yield _line(document, [document])
            return
        found = self._parts.setdefault((stream, document.id), {})
        found[document.part] = document
        if len(found) == document.parts:
            del self._parts[stream, document.id]
            yield _line(document, [found[number] for number in sorted(found)])
        elif len(self._parts) > self._remembered:
            yield _incomplete(self._parts.popitem(last=False)[1])

    def rest(self) -> Iterator[LogLine]:
        """Yield the lines of which parts are missing, as far as they are known."""
        for found in self._parts.values():
            yield _incomplete(found)
        self._parts.clear()

    def _is_repeated(self, stream: str, document: LogDocument) -> bool:
        key = (stream, document.id, document.part)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        return False


def _decoded(text: str) -> LogDocument | None:
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _incomplete(found: dict[int, LogDocument]) -> LogLine:
    documents = [found[number] for number in sorted(found)]
    return _line(documents[0], documents)


def _line(document: LogDocument, parts: Sequence[LogDocument]) -> LogLine:
    return LogLine(
        time=document.time,
        replica=document.replica,
        message="".join(_text(part.message) for part in parts),
        stream=document.stream,
        level=document.level,
        request_id=document.request_id,
        process=document.process,
        run=document.run,
    )


def _text(message: msgspec.Raw) -> str:
    raw = bytes(message)
    return raw.decode() if raw.startswith(b"{") else msgspec.json.decode(raw, type=str)
