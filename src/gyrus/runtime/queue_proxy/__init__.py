"""A thin HTTP/1.1 proxy before a server that is not ours: slots, a queue, requeue and an ordered end for it.

``python -m gyrus.runtime.queue_proxy <config.json>``, run by the supervisor, with the server's address in
``GYRUS_UPSTREAM``. Bodies pass in both directions as they come and are never kept. What answers requests
itself (the worker) does not belong here.
"""
