"""Replicas as supervised processes on this machine.

This package prepares a replica (project, environment, devices), launches its supervisor, watches for its
exit, stops it, adopts it after a restart of the operator and reads its logs. ``gyrus.runtime`` is the code
inside a replica, and ``gyrus.control`` decides which replicas should exist.
"""
