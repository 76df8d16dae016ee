"""Reading the logs of replicas: files that grow and rotate, merged in time order.

Supervisors write them. This package does not depend on replicas, only on their log folders.
"""
