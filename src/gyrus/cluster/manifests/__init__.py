"""The manifests of an installation, as JSON mappings. Pure: from settings to objects, without a cluster.

One module for each part of an installation; ``installation`` puts them in the order in which they are
applied.
"""
