"""Specifications: the meaning of the YAML, its defaults and its faults. Pure.

This package parses, checks and describes a specification. It does not deploy one.
"""
