"""A cluster on AWS from one file: specification, checks, stacks, nodes, prices, logs.

``cluster_spec`` and ``node_group`` are the models of cluster.yaml. ``cluster_file`` reads one, and
``initial_file`` writes a first one. ``templates`` and ``policies`` have the CloudFormation templates and
the rights. ``calls`` is the only way to AWS: it imports boto3, and runs its calls in threads. ``stacks``
applies templates; ``creation``, ``cluster_change`` and ``removal`` are a cluster's life. ``preflight``
compares a file with an account, ``nodes`` drives the planner of nodes, ``inspection`` shows a cluster.
"""
