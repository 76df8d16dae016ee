"""A server that refuses objects for the cluster's admission, as policies of a company do."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gyrus.cluster.certificates import issue, new_authority
from gyrus.contract.cluster import API_LABEL
from gyrus.kubernetes.resources import Manifest
from support.cluster import HOST_ADDRESS


@asynccontextmanager
async def refusing(api: str, message: str) -> AsyncGenerator[Manifest]:
    """The configuration of a webhook that refuses all new pods of an API, while its server runs."""
    now = datetime.now(UTC)
    authority = new_authority("policy", now)
    pair = issue(authority, [HOST_ADDRESS], now)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.write_text(pair.certificate + pair.key)
        context.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        (length,) = (line.split(":")[1] for line in head.splitlines() if line.startswith("content-length:"))
        review: Manifest = json.loads(await reader.readexactly(int(length)))
        answered = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": message}}
        body = json.dumps({**review, "request": None, "response": answered}).encode()
        kind = b"content-type: application/json\r\nconnection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (kind, len(body), body))
        writer.close()

    async with await asyncio.start_server(answer, HOST_ADDRESS, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        yield {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": api},
            "webhooks": [
                {
                    "name": "policy.example.com",
                    "clientConfig": {
                        "url": f"https://{HOST_ADDRESS}:{port}/",
                        "caBundle": base64.b64encode(authority.certificate.encode()).decode(),
                    },
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "resources": ["pods"],
                            "operations": ["CREATE"],
                        }
                    ],
                    "objectSelector": {"matchLabels": {API_LABEL: api}},
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
