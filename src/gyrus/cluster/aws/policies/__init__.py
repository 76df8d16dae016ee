"""The IAM policies of a cluster: every role's, and that of the person who creates the cluster. Pure.

Each statement has its reason, which the guide shows. Policies of AWS's own are named in the templates.
"""
