"""An HTTP/1.1 client for calls between the platform's own processes, over Unix sockets, TCP or TLS.

This package contains what HTTP defines. The meaning of a path belongs to the caller. The client supports no
redirects, cookies, proxies or streaming: :mod:`gyrus.client` is for the requests of users.
"""
