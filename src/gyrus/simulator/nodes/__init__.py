"""A cluster's nodes in virtual time: instances that start, fail and are interrupted, and what they cost.

The virtual EC2 and scheduler, and rules of other autoscalers for comparison, belong here. gyrus's own
decisions are in ``nodes``.
"""
