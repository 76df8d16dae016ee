"""StateError
├── NotFound        the API, revision or package is not there
├── Conflict        the API does not allow this now (it is being deleted, there is nothing to roll back to)
├── StaleVersion    someone else wrote first: read again and decide again
└── StorageFull     the disk, or the database's, is full: nothing was written
"""

from __future__ import annotations


class StateError(Exception):
    """Base of what a store raises. The message is for the user."""


class NotFound(StateError):
    pass


class Conflict(StateError):
    pass


class StaleVersion(StateError):
    pass


class StorageFull(StateError):
    pass
