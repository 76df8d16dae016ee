"""From a writer of events to the store: what is folded, what waits, what is dropped, and when it is written.

The records of events and the store belong to :mod:`gyrus.state`; the texts of events belong to their writers.
"""
