"""Credentials of a kubeconfig's user: a failure to get them names the user's program or file."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from gyrus.kubernetes.errors import NoCredentials

_FAULTS = (ConfigError, OSError, ValueError, KeyError, TypeError)
"""Errors of an exec plugin or of a file with a token: it is missing, fails, or prints something else."""


class UserCredentials(httpx2.Auth):
    """Adds the credentials of another authentication to each request."""

    def __init__(self, inner: httpx2.Auth, user: User, context: str) -> None:
        self._inner = inner
        self._user = user
        self._context = context

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Yield the requests that the other authentication sends. Raises NoCredentials."""
        flow = self._inner.async_auth_flow(request)
        try:
            try:
                sent = await anext(flow)
                while True:
                    response = yield sent
                    sent = await flow.asend(response)
            except StopAsyncIteration:
                return
            except _FAULTS as error:
                raise NoCredentials(self._context, self._message(error)) from error
        finally:
            await flow.aclose()

    def _message(self, error: Exception) -> str:
        plugin = self._user.exec
        if plugin is None:
            return f"{error}. Renew the file, or name another one as the user's tokenFile"
        again = "Run it by hand to see why, or choose another context with --context"
        if isinstance(error, FileNotFoundError):
            hint = f": {plugin.installHint.strip()}" if plugin.installHint else ""
            return f"its program {plugin.command} is not installed. Install it{hint}"
        if isinstance(error, ConfigError):  # lightkube: "Exec NAME returned CODE: OUTPUT"
            return f"its program {plugin.command} failed: {_shortened(str(error))}. {again}"
        return f"its program {plugin.command} printed no credentials. {again}"


def _shortened(message: str) -> str:
    """Return what a program has printed, in one line.

    >>> _shortened("Exec aws returned 3: the token has expired\\n")
    'the token has expired'
    """
    text = message.partition(": ")[2] or message
    return " ".join(text.split()).rstrip(".") or message
