"""Prints the path of every request."""

from __future__ import annotations

import http.server
import os
import signal
import urllib.parse
from typing import Any


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path)
        print(path, flush=True)
        if path == "/exit":
            os._exit(7)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def stop(number: int, frame: object) -> None:
    os._exit(0)


signal.signal(signal.SIGTERM, stop)  # the first process of a container has no default
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Echo).serve_forever()
