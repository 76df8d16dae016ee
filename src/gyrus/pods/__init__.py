"""The programs of gyrus in a cluster's pods: the fetcher of a replica, and the builder of an environment.

Each of these runs once, carries out its order, and exits. The sidecar, beside containers of the user's own,
runs as long as they do. The supervisor and the model server belong to :mod:`gyrus.runtime`.
"""
