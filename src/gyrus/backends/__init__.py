"""Backends, which run replicas. A backend starts, watches, drains and stops them; it knows no rollouts.

The protocol is here. Each backend is a module or package of its own and does not depend on another.
"""
