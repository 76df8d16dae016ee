"""The reason why a cluster refuses an object, in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_ABOUT = re.compile(r'^(?:[\w.]+ "[^"]*" (?:is|was) (?:forbidden|invalid)|error when creating "[^"]*"): ')
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+), "
    r"limited: (?P<limited>\S+)"
)
_UNSPECIFIED = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<fields>.+)")
_RANGE = re.compile(r"(?:minimum|maximum) \S+ usage per (?:Container|Pod) is .+", re.DOTALL)
_RATIO = re.compile(r"\S+ max limit to request ratio per .+", re.DOTALL)
_WEBHOOK = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request: (?P<cause>.+)', re.DOTALL)
_POLICY = re.compile(
    r"ValidatingAdmissionPolicy '(?P<name>[^']+)' with binding '[^']+' denied request: (?P<cause>.+)",
    re.DOTALL,
)
_NO_PRIORITY = re.compile(r"no PriorityClass with name (?P<name>\S+) was found")
_ENDING = re.compile(r"in namespace (?P<name>\S+) because it is being terminated")
_COUNTED = {"pods": "pods", "services": "Services", "services.nodeports": "node ports"}


def why_refused(message: str) -> str:
    """Return the reason in a message of the API server, without a full stop.

    >>> why_refused('pods "a" is forbidden: no PriorityClass with name high was found')
    'the priority class high does not exist'
    """
    text = " ".join(message.split()).rstrip(".")
    while found := _ABOUT.match(text):
        text = text[found.end() :]
    for pattern, words in _WORDS.items():
        if found := pattern.search(text):
            return words(found)
    return text


def is_quota(message: str) -> bool:
    """Return True if a quota is exhausted: the same object may be accepted later."""
    return _QUOTA.search(message) is not None


def _quota(found: re.Match[str]) -> str:
    requested, used, limited = (_amounts(found[name]) for name in ("requested", "used", "limited"))
    parts = [
        f"{limited[name]} {_COUNTED.get(name, f'of {name}')}; {used.get(name, '0')} "
        f"{'is' if used.get(name) == '1' else 'are'} in use, and this needs {amount} more"
        for name, amount in requested.items()
        if name in limited
    ]
    return f"the quota {found['quota']} allows {', and '.join(parts)}"


def _amounts(text: str) -> Mapping[str, str]:
    """Return the amounts in ``requests.cpu=1,pods=2``."""
    return {name: value for part in text.split(",") for name, _, value in (part.partition("="),)}


_WORDS: Mapping[re.Pattern[str], Callable[[re.Match[str]], str]] = {
    _QUOTA: _quota,
    _UNSPECIFIED: lambda found: f"the quota {found['quota']} demands that a pod sets {found['fields']}",
    _RANGE: lambda found: f"the namespace has a LimitRange: {found[0]}",
    _RATIO: lambda found: f"the namespace has a LimitRange: {found[0]}",
    _WEBHOOK: lambda found: f"the policy {found['name']} refuses it: {found['cause']}",
    _POLICY: lambda found: f"the policy {found['name']} refuses it: {found['cause']}",
    _NO_PRIORITY: lambda found: f"the priority class {found['name']} does not exist",
    _ENDING: lambda found: f"the namespace {found['name']} is being deleted",
}
