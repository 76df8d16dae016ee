"""The model server inside a replica: the supervisor, the worker that hosts a handler, and the queue proxy.

It is installed beside the user's model, so it imports only ``contract``, ``aio`` and ``queueing``, and has
few dependencies of its own. Code that knows about APIs, rollouts or other replicas does not belong here.
"""
