"""The APIs as objects of the cluster: manifests that deploy APIs, and objects that mirror those of the CLI.

Belongs here: reading an object's specification, deciding what follows from it (pure), reporting its status,
the objects that own pods, and disruption budgets. Not here: what a deployment does to replicas (``control``),
the definition of the resource (``cluster.manifests``), the client of Kubernetes (``kubernetes``).
"""
