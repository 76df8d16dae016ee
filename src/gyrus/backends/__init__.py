"""What runs replicas. A backend starts, watches, drains and stops them, and knows nothing of rollouts.

The protocol is here; each backend is a package of its own and knows of no other.
"""
