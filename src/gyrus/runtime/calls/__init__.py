"""The path from a request to the handler's answer: queue, slots, threads, batches, deadlines, disconnects.

The definition of a handler and of its values belongs in ``handler``, bytes and connections in ``server``.
"""
