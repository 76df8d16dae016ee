"""A narrow client of Kubernetes: connection, requests, typed errors, and a cache that follows a watch.

Manifests are plain JSON mappings. Modules here know Kubernetes, and nothing of APIs or replicas.
"""
