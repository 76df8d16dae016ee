"""A thin HTTP/1.1 proxy in front of the user's own server: slots, a queue, requeueing and an orderly drain.

The supervisor runs it as ``python -m gyrus.runtime.queue_proxy <config.json>``, with the server's address in
``GYRUS_UPSTREAM``. Bodies are forwarded in both directions as they arrive and are never stored. A server that
runs a handler (the worker) does not belong here.
"""
