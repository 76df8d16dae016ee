"""The path of events from their writers to the store: folding, buffering, dropping and batching.

The records of events and the store belong to :mod:`gyrus.state`; the texts of events belong to their writers.
"""
