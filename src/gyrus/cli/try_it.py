"""The commands that a deploy ends with: a request to each API, ready to paste. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gyrus.cli.example_request import JSON, TEXT, ExampleRequest

LONGEST = 2000
"""Characters of a payload in a command. A longer one is better kept in a file."""
BLANK = "'...'"
"""The place of a payload that the user has to write."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Commands for one API, and the note that they need."""

    commands: Sequence[str]
    note: str = ""


def suggestion(
    name: str, endpoint: str, request: ExampleRequest, sample: Path | None, sample_place: Path
) -> Suggestion:
    """Return the commands that send the sample file, or else the payload of the example request.

    ``sample_place``: the file where a sample of the API would be.
    """
    if sample is not None:
        return Suggestion(_commands(name, endpoint, request.path, JSON, shlex.quote(f"@{sample}")))
    if not request.media_type:
        return Suggestion(_without_body(name, endpoint, request))
    payload = _payload(request)
    if payload is None:
        return Suggestion(*_blank(name, endpoint, request, sample_place))
    return Suggestion(_commands(name, endpoint, request.path, request.media_type, payload))


def _payload(request: ExampleRequest) -> str | None:
    """Return the payload as a word for the shell. Returns None if the user has to write it."""
    if not request.known:
        return None
    is_text = request.media_type == TEXT and isinstance(request.payload, str)
    text = request.payload if is_text else json.dumps(request.payload)
    return shlex.quote(text) if len(text) <= LONGEST else None


def _commands(name: str, endpoint: str, path: str, media_type: str, payload: str) -> list[str]:
    data = "--data-raw" if media_type == TEXT else "-d"  # -d takes a text with a leading @ for a file
    curl = f"curl {_url(endpoint, path)} -H 'content-type: {media_type}' {data} {payload}"
    if path != "/":  # gyrus predict sends to the endpoint itself
        return [curl]
    if media_type == TEXT:
        return [f"printf %s {payload} | gyrus predict {name} - --content-type {TEXT}", curl]
    option_end = "-- " if payload.startswith("-") else ""
    return [f"gyrus predict {name} {option_end}{payload}", curl]


def _without_body(name: str, endpoint: str, request: ExampleRequest) -> list[str]:
    method = "" if request.method == "GET" else "-X POST "
    curl = f"curl {method}{_url(endpoint, request.path)}"
    own = request.method == "POST" and request.path == "/"
    return [f"gyrus predict {name}", curl] if own else [curl]


def _blank(name: str, endpoint: str, request: ExampleRequest, place: Path) -> tuple[list[str], str]:
    if request.media_type not in (JSON, TEXT):
        curl = (
            f"curl {_url(endpoint, request.path)} -H 'content-type: {request.media_type}' --data-binary @FILE"
        )
        commands = [f"gyrus predict {name} @FILE", curl] if request.path == "/" else [curl]
        return commands, f"Replace FILE: {name} takes {request.media_type}."
    note = (
        f"Replace ...: {name} does not describe its payload. Write one into {place}, "
        "or annotate payload in the handler, and the next deploy shows it here."
    )
    return _commands(name, endpoint, request.path, request.media_type, BLANK), note


def _url(endpoint: str, path: str) -> str:
    return shlex.quote(endpoint if path == "/" else endpoint.rstrip("/") + path)
