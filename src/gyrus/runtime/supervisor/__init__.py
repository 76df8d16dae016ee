"""The first process of every replica: runs its processes, collects what they print, tells how they are.

``python -m gyrus.runtime.supervisor <config.json>``. There is one for each replica, so what is here imports
the standard library and the contract alone, runs in one thread without asyncio, and starts in some tens of
milliseconds. Serving requests does not belong here (that is the worker's), nor does any knowledge of APIs,
rollouts or other replicas.
"""
