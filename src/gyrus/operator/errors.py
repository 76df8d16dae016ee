"""Reasons for an operator's end before it is asked to end.

├── StartError       it cannot start
└── LeadershipLost   another operator may lead now
"""

from __future__ import annotations


class StartError(Exception):
    """The operator cannot start. The message is for the user, and names the remedy."""


class LeadershipLost(Exception):
    """The message is the reason."""
