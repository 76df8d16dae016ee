"""Errors of a store.

StateError
├── NotFound            no such record:
│   ├── UnknownApi
│   ├── UnknownRevision
│   ├── UnknownPackage  it has to be uploaded (again)
│   └── UnknownToken
├── Conflict            the API does not allow this now (it is being deleted, …)
├── StaleVersion        another writer was first: read again and decide again
├── StorageFull         the disk, or the database's, is full: nothing was written
└── StoreUnusable       the database cannot be reached, read or understood
    └── LeaderReplaced  another operator leads: this one may not write
"""

from __future__ import annotations


class StateError(Exception):
    """Base of the errors that a store raises. The message is for the user."""


class NotFound(StateError):
    pass


class UnknownApi(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no API named {name}; `gyrus get` lists those that exist.")


class UnknownRevision(NotFound):
    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} has no revision {number}; `gyrus history {name}` lists its revisions.")


class UnknownPackage(NotFound):
    def __init__(self, digest: str) -> None:
        super().__init__(f"The package {digest} has not been uploaded, or was removed; upload it again.")


class UnknownToken(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no token named {name}; `gyrus token list` lists those that exist.")


class Conflict(StateError):
    pass


class StaleVersion(StateError):
    pass


class StorageFull(StateError):
    pass


class StoreUnusable(StateError):
    pass


class LeaderReplaced(StoreUnusable):
    pass
