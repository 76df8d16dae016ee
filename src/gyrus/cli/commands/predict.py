"""The command ``gyrus predict``."""

from __future__ import annotations

import codecs
import mimetypes
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.output import is_terminal, print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.client.errors import PredictionFailed
from gyrus.client.prediction import BINARY, JSON, PredictionAnswer
from gyrus.contract.visible import escaped, escaped_json, escaped_lines
from gyrus.spec.plain_file import NotPlain, read_plain_file

TEXT = "text/plain; charset=utf-8"
LOGGED = (500, 502)
"""Statuses whose cause is in the replica's log."""


@dataclass(frozen=True, slots=True)
class Payload:
    body: bytes
    media_type: str


@click.command("predict", cls=Command)
@api_name()
@click.argument("payload", required=False, metavar="[JSON|@FILE|-]")
@click.option(
    "--content-type",
    metavar="TYPE",
    help="The payload's type (default: from its content, or from FILE's name).",
)
@pass_session
def command(session: CliSession, name: str, payload: str | None, content_type: str | None) -> None:
    """Send a payload to the API named NAME and print its answer.

    The payload is JSON, the content of a FILE (@FILE), or the standard input (-). Streamed answers are
    printed as they arrive.
    """
    sent = _payload(payload)
    answer = _answer(session, name, sent, _checked_type(content_type))
    if _is_json(answer.media_type):
        _print_json(answer.read(), formatted=session.json or is_terminal(sys.stdout))
    elif session.json:
        _print_as_json(answer)
    else:
        _copy(answer)


def _answer(session: CliSession, name: str, sent: Payload, content_type: str | None) -> PredictionAnswer:
    try:
        return session.client().call(name, sent.body, content_type or sent.media_type)
    except PredictionFailed as fault:
        if fault.status in LOGGED:
            raise CommandFailure(fault.message, remedy=f"See: gyrus logs {name}") from fault
        raise


def _payload(given: str | None) -> Payload:
    if given is None:
        return Payload(b"", JSON)
    if given == "-":
        return _sniffed(_standard_input())
    if given.startswith("@"):
        return _from_file(Path(given[1:]))
    return Payload(_checked(given), JSON)


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except OSError as fault:
        raise WrongInput(f"The standard input cannot be read: {fault.strerror}.") from fault


def _from_file(file: Path) -> Payload:
    try:
        body = read_plain_file(file)
    except NotPlain as fault:
        remedy = "Pass its content through the standard input: gyrus predict NAME - < FILE"
        raise WrongInput(f"The payload {file} {fault}, not a file.", remedy=remedy) from fault
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise WrongInput(f"The payload {file} cannot be read: {why}.") from fault
    guessed, _ = mimetypes.guess_type(file.name)
    return Payload(body, guessed or BINARY)


def _sniffed(body: bytes) -> Payload:
    import msgspec

    try:
        msgspec.json.decode(body)
        return Payload(body, JSON)
    except msgspec.DecodeError:
        pass
    try:
        body.decode()
    except UnicodeDecodeError:
        return Payload(body, BINARY)
    return Payload(body, TEXT)


def _checked(text: str) -> bytes:
    """Check that the text is JSON. Raises WrongInput."""
    import json

    try:
        body = text.encode()
        json.loads(text)
    except UnicodeEncodeError as fault:
        remedy = "Pass its bytes in a file: @FILE"
        raise WrongInput("The payload is not UTF-8 text.", remedy=remedy) from fault
    except RecursionError as fault:
        raise WrongInput("The payload is nested too deeply.", remedy="Pass it in a file: @FILE") from fault
    except ValueError as fault:
        raise WrongInput(
            f"The payload is not JSON: {fault}.",
            remedy="Quote it for the shell: gyrus predict NAME '{\"key\": 1}', or give a file: @payload.json",
        ) from fault
    return body


def _checked_type(text: str | None) -> str | None:
    """Check that the text can be a header's value. Raises WrongInput."""
    if text is not None and not (text.isascii() and text.isprintable() and text.strip()):
        raise WrongInput(f"{escaped(text)!r} is not a content type.", remedy="Write for example text/csv")
    return text


def _is_json(media_type: str) -> bool:
    return media_type == JSON or media_type.endswith("+json")


def _print_json(body: bytes, *, formatted: bool) -> None:
    import msgspec

    if formatted:
        try:
            body = msgspec.json.format(body)
        except msgspec.DecodeError:
            print_note("The answer has a JSON content type but is not JSON. It is printed unchanged.")
    if is_terminal(sys.stdout):
        body = escaped_json(body.decode(errors="replace")).encode()
    _write(body)
    if not body.endswith(b"\n"):
        _write(b"\n")


def _print_as_json(answer: PredictionAnswer) -> None:
    body = answer.read()
    try:
        print_json(body.decode())
    except UnicodeDecodeError:
        raise CommandFailure(
            f"The answer is {answer.media_type}, which JSON cannot contain.",
            remedy="Leave out -o json, and redirect the output.",
        ) from None


def _copy(answer: PredictionAnswer) -> None:
    """Print the answer as it arrives."""
    textual = answer.media_type.startswith("text/") or answer.media_type == "application/x-ndjson"
    if not textual and is_terminal(sys.stdout):
        size = len(answer.read())
        print_result(f"{size} bytes of {answer.media_type or 'no type'}. Redirect the output to keep them.")
        return
    last = b"\n"
    for chunk in _visible(answer.chunks()) if is_terminal(sys.stdout) else answer.chunks():
        _write(chunk)
        last = chunk or last
    if textual and not last.endswith(b"\n"):
        _write(b"\n")


def _visible(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text for a terminal, with what would act on it escaped."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for chunk in chunks:
        yield escaped_lines(decoder.decode(chunk)).encode()
    yield escaped_lines(decoder.decode(b"", final=True)).encode()


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
