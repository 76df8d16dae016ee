"""Errors that end an operator.

StartError           it cannot start
LeadershipLost       another operator may lead now
StandbyStopped       it was asked to stop before it led
"""

from __future__ import annotations


class StartError(Exception):
    """The operator cannot start. The message is for the user, and names the remedy."""


class LeadershipLost(Exception):
    """The operator does not lead any more. The message is the reason."""


class StandbyStopped(Exception):
    """The operator has not led, and is asked to stop."""
