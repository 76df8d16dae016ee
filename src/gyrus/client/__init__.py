"""The operator's API as Python calls: typed, synchronous, on every system.

How to reach an operator, how its answers become contract dataclasses or errors, and how a rollout is waited
for belong here. What is printed about them does not, nor does anything that needs a local platform beside it.
"""
