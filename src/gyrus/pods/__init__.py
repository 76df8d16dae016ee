"""The programs of gyrus in a cluster's pods: the fetcher of a replica, and the builder of an environment.

Each runs once, carries out its order, and exits. The supervisor and the model server, which run as long as
the replica does, belong to :mod:`gyrus.runtime`.
"""
