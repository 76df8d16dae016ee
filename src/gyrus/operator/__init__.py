"""The assembly of the operator: it builds the parts and runs them in one TaskGroup.

``python -m gyrus.operator`` is the operator's process. Wiring, the order of start and stop, and the resources
of the process (lock, token, log, signals) belong here. This is the only package that imports all parts.
"""
