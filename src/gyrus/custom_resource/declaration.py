"""The specification and the source of files in an object's ``spec``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gyrus.contract.visible import escaped
from gyrus.spec.api import ApiSpec
from gyrus.spec.document import fields_of
from gyrus.spec.faults import SpecError, SpecFault
from gyrus.spec.load import check

PACKAGE = "package"
"""The field of ``spec`` that names the files. All other fields are those of the YAML."""
SHOWN_FAULTS = 20
_DIGEST = re.compile("[0-9a-f]{64}")
_FIELDS = frozenset({"sha256", "url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """The origin of an API's files."""

    digest: str
    """SHA-256 of the package, in hexadecimal digits."""
    url: str | None
    """The address of the package. None if it was uploaded before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The content of a manifest without faults."""

    spec: ApiSpec
    package: PackageSource | None


@dataclass(frozen=True, slots=True)
class Faults:
    """The reasons why a manifest cannot be deployed."""

    lines: tuple[str, ...]

    def __str__(self) -> str:
        more = len(self.lines) - SHOWN_FAULTS
        return "\n".join((*self.lines[:SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else ())))


def read_declaration(name: str, spec: Mapping[str, Any]) -> Declaration | Faults:
    """Read an object's ``spec``. ``name``: the object's, which is the API's too."""
    document = {"name": name, **{key: value for key, value in spec.items() if key != PACKAGE}}
    lines = [*_name_faults(name, spec), *_package_faults(spec.get(PACKAGE))]
    try:
        (read,) = check([document], "spec")
    except SpecError as error:
        return Faults((*lines, *map(_line, error.faults)))
    except RecursionError:
        return Faults((*lines, "spec: nested too deeply"))
    package = fields_of(spec.get(PACKAGE))
    if read.needs_package and not package:
        lines.append(
            "spec.package: its files are missing; "
            "name a package: its sha256, and its url if it was not uploaded before"
        )
    if lines:
        return Faults(tuple(lines))
    source = PackageSource(digest=package["sha256"], url=package.get("url")) if package else None
    return Declaration(spec=read, package=source)


def _line(fault: SpecFault) -> str:
    place = f"spec.{fault.field}" if fault.field else "spec"
    return ": ".join((place, f"{fault.message}; {fault.remedy}" if fault.remedy else fault.message))


def _name_faults(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    given = spec.get("name", name)
    if given != name:
        yield f"spec.name: {escaped(str(given))} is not the name of the object, {name}; leave the field out"


def _package_faults(package: Any) -> Iterator[str]:
    if package is None:
        return
    fields = fields_of(package)
    if not fields:
        yield "spec.package: must be a mapping; write sha256: and the package's digest"
        return
    for unknown in sorted(fields.keys() - _FIELDS):
        yield f"spec.package.{escaped(unknown)}: unknown field; it has the fields sha256 and url"
    digest, url = fields.get("sha256"), fields.get("url")
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        yield (
            "spec.package.sha256: must have 64 lower-case hexadecimal digits; "
            "`gyrus package build` and `gyrus package push` print them"
        )
    if url is not None and not _is_web_address(url):
        yield "spec.package.url: must be an address that begins with https:// or http://"


def _is_web_address(url: Any) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        return False
