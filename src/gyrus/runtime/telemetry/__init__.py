"""The reports of a worker: status and log lines for the supervisor, metrics, and the backlog signal.

Decisions that are based on the reports do not belong here.
"""
