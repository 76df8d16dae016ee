"""Errors of the HTTP client: the reasons why a request has no answer.

::

    HttpError
    ├── ConnectFailed       There is no connection. The request was not sent: it is safe to retry.
    ├── ConnectionLost      The connection ended before the answer was complete. The server may have acted.
    ├── HttpTimeout         The exchange took too long. The server may have acted.
    └── MalformedResponse   The received bytes are not HTTP.
        └── ResponseTooLarge    The head or the body exceeds the limit.

An answer with an error status is not an error here.
"""

from __future__ import annotations


class HttpError(Exception):
    pass


class ConnectFailed(HttpError):
    pass


class ConnectionLost(HttpError):
    pass


class HttpTimeout(HttpError):
    pass


class MalformedResponse(HttpError):
    pass


class ResponseTooLarge(MalformedResponse):
    pass
