"""An HTTP/1.1 server: parsing of requests, encoding of answers, and connections with limits.

It could serve any program that answers requests from memory. Code that knows about handlers, slots or queues
does not belong here.
"""
