"""An HTTP/1.1 server: bytes to requests, answers to bytes, connections with limits and turns.

It would serve any program that answers requests from memory. What knows a handler, a slot or a queue does
not belong here.
"""
