"""Reasons for having no answer.

::

    HttpError
    ├── ConnectFailed       No connection: the request was not sent, and may be sent again.
    ├── ConnectionLost      The connection ended before the answer did: the server may have acted.
    ├── HttpTimeout         The time for the exchange is over: the server may have acted.
    └── MalformedResponse   What came is not HTTP.
        └── ResponseTooLarge    Its head or its body is over the limit.

An answer of any status is an answer, not an error.
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
