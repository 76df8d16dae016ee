"""Envoy's configuration as plain values, in the JSON form of its reference. Pure, one file per kind.

This package decides the content of the configuration. ``xds`` encodes and sends it.
"""
