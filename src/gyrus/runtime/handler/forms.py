"""Parsing of HTML forms (RFC 7578 and the URL standard). The whole body is already in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from gyrus.contract.problem import BAD_REQUEST
from gyrus.runtime.handler.parameters import gathered
from gyrus.runtime.handler.text import decode_text
from gyrus.runtime.server.problems import RequestRefused

MOST_PARTS = 1000
_TEXTS = frozenset({"", "application/json", "application/xml", "application/x-www-form-urlencoded"})
"""Media types of fields that are text."""
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')


@dataclass(frozen=True, slots=True)
class File:
    """A file, or other bytes, in a form."""

    name: str
    """File name that the client sent, or "" if it sent none; do not use it as a path."""
    media_type: str
    content: bytes = field(repr=False)


def parse_form(body: bytes, charset: str = "utf-8") -> dict[str, Any]:
    """Parse ``application/x-www-form-urlencoded``. Raises RequestRefused."""
    text = decode_text(body, charset, "The form")
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, encoding=charset, errors="strict", max_num_fields=MOST_PARTS
        )
    except UnicodeError as error:
        raise RequestRefused(BAD_REQUEST, f"The form is not text in {charset}: {error}.") from None
    except ValueError:
        raise RequestRefused(BAD_REQUEST, f"The form has more than {MOST_PARTS} fields.") from None
    return gathered(pairs)


def parse_multipart(body: bytes, boundary: str) -> dict[str, Any]:
    """Parse ``multipart/form-data`` into text for fields, :class:`File` for files. Raises RequestRefused.

    A part is a file if it has a file name, or a media type that is not one of text.
    """
    if not boundary or len(boundary) > 70:
        raise RequestRefused(BAD_REQUEST, "The form's Content-Type has no valid boundary.")
    fields: list[tuple[str, Any]] = []
    for part in _parts(body, b"--" + boundary.encode("latin-1", "replace")):
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator:
            raise RequestRefused(BAD_REQUEST, "A part of the form has no header.")
        fields.append(_field(_part_headers(head), content))
    return gathered(fields)


def _parts(body: bytes, delimiter: bytes) -> list[bytes]:
    """Return the parts between the delimiter lines, each from the end of its delimiter line."""
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter, MOST_PARTS + 2)
    if len(pieces) > MOST_PARTS + 2:
        raise RequestRefused(BAD_REQUEST, f"The form has more than {MOST_PARTS} fields.")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise RequestRefused(BAD_REQUEST, "The form ends before its closing boundary.")
    parts: list[bytes] = []
    for piece in pieces[1:-1]:
        padding, separator, part = piece.partition(b"\r\n")
        if not separator or padding.strip(b" \t"):
            raise RequestRefused(
                BAD_REQUEST, "A boundary of the form is not followed by the end of its line."
            )
        parts.append(part)
    return parts


def _part_headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _field(headers: dict[str, str], content: bytes) -> tuple[str, Any]:
    parameters = _parameters_of(headers.get("content-disposition", ""))
    if "name" not in parameters:
        raise RequestRefused(BAD_REQUEST, "A part of the form has no name in its Content-Disposition.")
    name, kind = parameters["name"], headers.get("content-type")
    file = _file_name(parameters)
    if file is not None or (kind is not None and not _is_text(kind)):
        return name, File(file or "", kind or "application/octet-stream", content)
    charset = _parameters_of(kind or "").get("charset", "utf-8")
    return name, decode_text(content, charset, f"The form's field {name!r}")


def _file_name(parameters: dict[str, str]) -> str | None:
    """Return the name of the file, of which ``filename*`` is the form for any characters (RFC 8187)."""
    charset, quote, encoded = parameters.get("filename*", "").partition("'")
    if quote and charset.lower() in ("utf-8", "iso-8859-1"):
        return unquote(encoded.partition("'")[2], charset)
    return parameters.get("filename")


def _is_text(kind: str) -> bool:
    kind = kind.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml"))


def _parameters_of(value: str) -> dict[str, str]:
    return {name.lower(): _unquoted(found) for name, found in _PARAMETER.findall(value)}


def _unquoted(value: str) -> str:
    """Remove the quotes and escapes of a parameter.

    Browsers escape quotes as ``%22`` and line ends as ``%0D%0A``, other clients with backslashes.
    """
    if not value.startswith('"'):
        return value
    inner = re.sub(r"\\([\"\\])", r"\1", value[1:-1])
    return inner.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
