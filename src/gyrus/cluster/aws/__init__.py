"""A cluster on AWS from one file: its specification, checked.

``cluster_spec`` and ``node_group`` are the models of cluster.yaml. ``cluster_file`` reads one, and
``initial_file`` writes a first one. ``templates`` and ``policies`` have the CloudFormation templates and
the rights. Nothing here connects to AWS, and nothing here imports its client: what
only AWS knows (types offered in a region, quotas, prices, subnets) is checked when a cluster is created.
"""
