"""An HTTP/1.1 client for calls between the platform's own processes, over Unix sockets, TCP or TLS.

What belongs here knows HTTP; what a path means belongs to the caller. No redirects, cookies, proxies or
streaming: :mod:`gyrus.client` speaks to servers that are not ours.
"""
