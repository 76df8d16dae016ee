"""Stored specifications: a JSON document and its version, which any later gyrus reads.

Reading never raises. A specification that this gyrus cannot read becomes a value with the reason, so that a
fault of one API does not affect others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gyrus.spec.api import ApiSpec
from gyrus.spec.diagnosis import validate
from gyrus.spec.document import fields_of
from gyrus.spec.faults import Contradiction, dotted
from gyrus.spec.quantities import parse_duration
from gyrus.spec.upgrades import UPGRADES, Upgrade, current_version, upgraded

SHOWN_FAULTS = 3
DEFAULT_TIMEOUT = timedelta(minutes=1)
REMEDY = "deploy the API again, or run the version of gyrus that wrote it"
NEWER_REMEDY = "run that version of gyrus or a newer one, or deploy the API again"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableSpec:
    """A stored specification that this version of gyrus cannot read."""

    reason: str
    """The fault and the remedy, without a full stop."""
    endpoint_path: str
    """The path under the gateway, with its leading and without a trailing slash."""
    document: Mapping[str, Any]
    """The stored document; empty if it is no JSON object."""

    @property
    def request_timeout(self) -> timedelta:
        """Time from a request's arrival until its answer starts; the default if it cannot be read."""
        try:
            return parse_duration(self.document.get("timeout")) or DEFAULT_TIMEOUT
        except ValueError:
            return DEFAULT_TIMEOUT

    def sentence(self, revision: int) -> str:
        """Return a sentence that explains why no replica of this revision can start."""
        return f"Revision {revision} cannot be read: {self.reason}."


StoredSpec = ApiSpec | UnreadableSpec
"""The result of reading a stored specification."""


class _Unreadable(Exception):
    """A document that cannot be read. The message is the reason."""


def write(spec: ApiSpec) -> str:
    """Return the document, ASCII only. It has all defaults, so that later ones change no deployment."""
    return json.dumps(spec.model_dump(mode="json"))


def read(text: str, version: int, endpoint_path: str, upgrades: Sequence[Upgrade] = UPGRADES) -> StoredSpec:
    """Return the specification in a document of this version."""
    document: dict[str, Any] = {}
    try:
        document = _parsed(text)
        return _checked(_brought_up(document, version, upgrades))
    except _Unreadable as error:
        return UnreadableSpec(reason=str(error), endpoint_path=endpoint_path, document=document)


def _parsed(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"the stored document is not JSON ({error}); {REMEDY}") from error
    if not isinstance(document, dict):
        raise _Unreadable(f"the stored document is not a JSON object; {REMEDY}")
    return fields_of(document)


def _brought_up(document: dict[str, Any], version: int, upgrades: Sequence[Upgrade]) -> dict[str, Any]:
    newest = current_version(upgrades)
    if not 1 <= version <= newest:
        message = f"a gyrus wrote it in version {version}, and this one reads versions up to {newest}"
        raise _Unreadable(f"{message}; {NEWER_REMEDY}")
    try:
        return upgraded(document, version, upgrades)
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # not of that version
        message = f"it cannot be brought from version {version} to {newest} ({type(error).__name__}: {error})"
        raise _Unreadable(f"{message}; {REMEDY}") from error


def _checked(document: dict[str, Any]) -> ApiSpec:
    try:
        found = validate(document)
    except RecursionError as error:
        raise _Unreadable(f"it is nested too deeply; {REMEDY}") from error
    if isinstance(found, ApiSpec):
        return found
    raise _Unreadable(f"{_first_faults(found)}; {REMEDY}")


def _first_faults(faults: Sequence[Contradiction]) -> str:
    """Return the first faults, by field."""
    shown = [": ".join(filter(None, (dotted(fault.path), fault.message))) for fault in faults[:SHOWN_FAULTS]]
    more = len(faults) - len(shown)
    return ", ".join(shown) + (f" and {more} more faults" if more else "")
