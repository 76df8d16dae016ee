"""The operator's API as Python calls: typed, synchronous, on every system.

This package reaches an operator, turns its answers into contract dataclasses or errors, and waits for
rollouts. Printed text does not belong here, nor does code that needs a local platform on the same machine.
"""
