"""Shapes that cross a process boundary: what the operator's API answers, what a replica reports, problems.

Only standard-library dataclasses and constants belong here, so that the runtime beside a user's model and
the CLI on any machine can import it at no cost. Nothing here acts, and nothing here imports from gyrus.
"""
