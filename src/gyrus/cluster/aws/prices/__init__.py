"""Prices of AWS: a dated table in the package, the answers of the price services, a cluster's hourly price.

``table`` reads the packaged figures, ``products`` and ``spot_history`` read the answers of AWS, and
``price_list`` computes the hourly price of a cluster.yaml. They are pure. ``refresh`` asks AWS, and ``cache``
keeps its answers in a file. What a running cluster has cost so far is counted in ``gyrus.cost``, not here.
"""
