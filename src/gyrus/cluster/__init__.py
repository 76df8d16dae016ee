"""gyrus on a Kubernetes cluster that a kubeconfig names: install, information, health, uninstall.

``settings`` and ``manifests`` are pure: they describe what an installation consists of. ``install``,
``health`` and ``uninstall`` act on a cluster. What replicas are is no concern of this package (see
``gyrus.backends``).
"""
