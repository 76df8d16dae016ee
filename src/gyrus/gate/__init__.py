"""Holds an API's requests while it has no replica, and moves waiting requests to replicas with free slots.

The activator answers the gateway for an API without a replica. The rebalancer asks loaded replicas to requeue
requests that they have not started. ``queueing`` decides how many each replica requeues, as a function of
their loads. The autoscaler decides the number of replicas. While an API has a replica, no request passes
through this package.
"""
