"""gyrus deploys machine-learning models as production APIs."""

TYPE_CHECKING = False  # as typing has it, whose import would take as long as everything else here
if TYPE_CHECKING:
    from gyrus.client.client import Client as Client
    from gyrus.runtime.response import Response as Response

__version__ = "0.1.0"

_HOMES = {"Client": "gyrus.client.client", "Response": "gyrus.runtime.response"}
"""Where the public names live. Imported when first used: a replica has no client, --version needs none."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gyrus' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
