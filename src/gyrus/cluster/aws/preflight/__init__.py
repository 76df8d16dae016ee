"""Checks of an account before a cluster is created in it: nothing is created, and nothing changes.

``observe`` reads the account's facts, all at once. The rest is pure: ``check`` lists the problems,
``zones`` chooses the zones, ``vcpus`` and ``network`` compare needs with quotas, and ``own_resources``
checks subnets, certificate, policies, bucket and cluster that exist.
"""
