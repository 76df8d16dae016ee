"""Types that cross a process boundary: the operator's API, a replica's configuration and reports, problems.

Only standard-library dataclasses and constants belong here, so that the runtime of a user's model and the CLI
on any machine can import them at no cost. The package imports nothing from gyrus, and its only behaviour is
to make text visible that people read (``visible``).
"""
