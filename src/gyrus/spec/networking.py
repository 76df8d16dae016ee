"""The address of an API under the gateway, and the web pages that may call it."""

from __future__ import annotations

from pydantic import Field

from gyrus.spec.api import Model
from gyrus.spec.cors import Cors
from gyrus.spec.words import Endpoint


class Networking(Model):
    """The address of the API."""

    endpoint: Endpoint | None = Field(default=None, examples=["iris", "models/iris"])
    """The path under the gateway. By default the API's name."""
    cors: Cors | None = None
    """The web pages of other origins that may call the API. By default none."""
