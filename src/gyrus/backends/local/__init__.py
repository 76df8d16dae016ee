"""Replicas as supervised processes on this machine.

Preparing a replica (project, environment, devices), launching its supervisor, watching it die, telling it to
stop, finding it again after a restart and reading its logs belong here. What happens inside a replica belongs
to ``gyrus.runtime``, and whether there should be one to ``gyrus.control``.
"""
