"""The driver of a cluster's nodes: it observes Auto Scaling groups, nodes and pods, and carries out plans.

The plan itself is :func:`gyrus.nodes.planner.plan_nodes`. Here are its input, read from AWS and Kubernetes,
and its effects on both. Nothing here decides how many nodes there are.
"""
