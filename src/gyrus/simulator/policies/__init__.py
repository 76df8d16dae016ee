"""Policies for comparison: the published ones of other systems, and one that knows the future.

Each module's docstring names its source and the parts that are left out. gyrus's own policy is not here.
"""
