"""gyrus deploys machine-learning models as production APIs."""

# typing.TYPE_CHECKING without importing typing: that import would take as long as the rest of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from gyrus.client.client import Client as Client
    from gyrus.runtime.response import Response as Response

__version__ = "0.1.0"

_HOMES = {"Client": "gyrus.client.client", "Response": "gyrus.runtime.response"}
"""Module of each public name.

A module is imported when its name is first used: a replica needs no client, and ``--version`` needs neither.
"""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gyrus' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
