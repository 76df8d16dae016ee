"""The nodes that a cluster should have: a pure decision over its pods, pools of instances and prices.

Packing pods, choosing pools, and choosing nodes that end belong here. Observing a cluster and calling a cloud
do not: the caller builds a :class:`~gyrus.nodes.state.NodesState` and carries out the
:class:`~gyrus.nodes.node_plan.NodePlan`.
"""
