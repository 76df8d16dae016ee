"""Holds requests while there is no replica, and moves waiting ones to where they can be started sooner.

The activator answers the gateway for an API without a replica; the rebalancer asks loaded replicas to give
back what they have not started. Who gives back how much is decided in ``queueing``, as a function of their
loads; how many replicas there are is the autoscaler's word. While an API has a replica, no request passes
through here.
"""
