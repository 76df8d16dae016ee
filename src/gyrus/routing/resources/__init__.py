"""Envoy's configuration as plain values, in the JSON form of its reference. Pure functions, one file a kind.

What Envoy should be told belongs here; how it is encoded and sent belongs to ``xds``.
"""
