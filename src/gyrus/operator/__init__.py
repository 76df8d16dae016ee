"""Builds an operator out of its parts and runs it in one TaskGroup: the only place that knows them all.

``python -m gyrus.operator`` is the operator's process. Wiring, order of start and stop, and what belongs to
the process (lock, token, log, signals) are here; what the parts do is not.
"""
