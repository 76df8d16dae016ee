"""Replicas as pods of a Kubernetes cluster.

``resources`` and ``observed`` are pure: an order becomes a manifest, and a pod becomes an observation. The
pod carries its order, so that the next operator needs nothing else to adopt it.
"""
