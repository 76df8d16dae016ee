"""The errors of object stores.

ObjectError
├── NoSuchObject         there is no object of this name
├── ObjectExists         an object of this name is there already
├── ObjectChanged        the object is not the one that was asked for any more
├── ObjectsRefused       the store refuses, or cannot be used: the user must change something
└── ObjectsUnreachable   the store does not answer now: another try may help
"""

from __future__ import annotations


class ObjectError(Exception):
    """Base of all errors of object stores. The message is for the user."""


class NoSuchObject(ObjectError):
    pass


class ObjectExists(ObjectError):
    pass


class ObjectChanged(ObjectError):
    pass


class ObjectsRefused(ObjectError):
    pass


class ObjectsUnreachable(ObjectError):
    pass
