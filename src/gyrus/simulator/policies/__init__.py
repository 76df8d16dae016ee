"""What gyrus is compared with: the published policies of other systems, and one that knows the future.

Each says in its docstring where it is published and what was left out. gyrus's own policy is not here.
"""
