"""Prints the path of every request, and answers with what a test wants to know of its container."""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

SHARED = Path("/mnt/shared")


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path)
        print(path, flush=True)
        if path == "/exit":
            os._exit(7)
        if path == "/slow":
            time.sleep(2)
        answer = json.dumps(
            {
                "arguments": sys.argv[1:],
                "path": path,
                "shared": SHARED.read_text() if SHARED.exists() else None,
                "variables": dict(os.environ),
                "client": Path("/cortex/client/cli.yaml").read_text() if "CORTEX_PORT" in os.environ else "",
            }
        ).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def stop(number: int, frame: object) -> None:
    os._exit(0)


signal.signal(signal.SIGTERM, stop)  # the first process of a container has no default
port = os.environ.get("PORT") or os.environ["CORTEX_PORT"]
http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Echo).serve_forever()
