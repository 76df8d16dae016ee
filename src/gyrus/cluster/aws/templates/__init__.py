"""The CloudFormation templates of a cluster, as values. Pure: nothing here connects to AWS.

``base_stack`` has what every cluster has once, ``group_stack`` what each node group has. Applying a template
does not belong here.
"""
