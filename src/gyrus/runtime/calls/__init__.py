"""From a request to the handler's answer: slots, the queue before them, threads, batches, time, the client.

What a handler is and what its values mean belongs in ``handler``; bytes and connections in ``server``.
"""
