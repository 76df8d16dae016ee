"""The other origins whose web pages may call an API (CORS)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction
from gyrus.spec.quantities import Duration, between

ANY = "*"
"""The value that stands for every origin, method or header."""

_LABELS = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://(?:(?:\*\.)?{_LABELS}|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def check_origin(value: str) -> str:
    """Check an origin as browsers send it: in small letters, without a path, without a default port."""
    if value == ANY:
        return value
    if not _ORIGIN.fullmatch(value):
        nearest = value.lower().rstrip("/")
        hint = nearest if _ORIGIN.fullmatch(nearest) else "https://app.example.com"
        raise ValueError(
            "is not an origin: a scheme and a host in small letters, without a path; "
            f"write for example {hint}, https://*.example.com or *"
        )
    scheme = value.partition("://")[0]
    port = _DEFAULT_PORTS.get(scheme, "")
    if port and value.endswith(port):
        raise ValueError(f"has the port that {scheme} has by default; write {value.removesuffix(port)}")
    return value


def check_method(value: str) -> str:
    if value != ANY and not re.fullmatch("[A-Z]+", value):
        raise ValueError("is not a method in capital letters; write for example POST")
    return value


def check_header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not the name of a header; write for example content-type")
    return value


CorsOrigin = Annotated[str, AfterValidator(check_origin)]
Method = Annotated[str, AfterValidator(check_method)]
HeaderName = Annotated[str, AfterValidator(check_header_name)]


class Cors(Model):
    """The web pages of other origins that may call the API. The gateway answers their preflight requests."""

    origins: Annotated[tuple[CorsOrigin, ...], Field(strict=False, min_length=1, max_length=100)] = Field(
        examples=[["https://app.example.com", "https://*.example.com"]]
    )
    """The origins: scheme, host and port, as browsers send them. https://*.example.com stands for all
    subdomains, * for every origin."""
    methods: Annotated[tuple[Method, ...], Field(strict=False, min_length=1, max_length=100)] = (
        "GET",
        "HEAD",
        "POST",
    )
    """The methods that a page may use."""
    headers: Annotated[tuple[HeaderName, ...], Field(strict=False, max_length=100)] = (
        "content-type",
        "authorization",
        "x-request-id",
    )
    """The request headers that a page may send. * stands for all except authorization."""
    expose_headers: Annotated[tuple[HeaderName, ...], Field(strict=False, max_length=100)] = (
        "x-request-id",
        "retry-after",
    )
    """The response headers that a page may read."""
    credentials: bool = False
    """Let pages send cookies and other credentials. Not together with *."""
    max_age: Annotated[Duration, between("0s", "24h")] = timedelta(minutes=10)
    """The time for which a browser may reuse the answer to a preflight request."""

    @property
    def any_origin(self) -> bool:
        return ANY in self.origins

    def contradictions(self) -> Iterator[Contradiction]:
        if self.any_origin and len(self.origins) > 1:
            message = "stands for every origin, but others are given beside it"
            path = ("origins", self.origins.index(ANY))
            yield Contradiction(path=path, message=message, remedy="write * alone, or remove it")
        if not self.credentials:
            return
        for field in ("origins", "methods", "headers", "expose_headers"):
            values: tuple[str, ...] = getattr(self, field)
            if ANY in values:
                message = "is *, which browsers do not accept together with credentials: true"
                remedy = f"name the {field.replace('_', ' ')}, or remove credentials"
                yield Contradiction(path=(field, values.index(ANY)), message=message, remedy=remedy)
