"""The model server inside a replica: the supervisor, the worker that hosts a handler, and the front.

It is installed beside the user's model, so it imports ``contract`` and ``aio`` alone and has light
dependencies of its own. Whatever knows of APIs, rollouts or other replicas does not belong here.
"""
