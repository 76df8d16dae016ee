"""Errors that end an operator without a request to stop.

├── StartError       it cannot start
└── LeadershipLost   another operator may lead now
"""

from __future__ import annotations


class StartError(Exception):
    """The operator cannot start. The message is for the user, and names the remedy."""


class LeadershipLost(Exception):
    """The operator does not lead any more. The message is the reason."""
