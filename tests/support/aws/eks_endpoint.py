"""The endpoint of an emulated EKS cluster: a real Kubernetes API behind the check of EKS's tokens.

A token is a signed call of STS. The endpoint carries it out, as EKS does, and passes on the connections of
the identities that STS knows.

    python -m support.aws.eks_endpoint KUBECONFIG CLUSTER FOLDER

It prints its URL, and writes its authority to ``ca.crt`` in the folder.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
import yaml

CLUSTER_HEADER = "x-k8s-aws-id"
PREFIX = "k8s-aws-v1."
REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
END_OF_HEAD = b"\r\n\r\n"
CHUNK = 65536


class EksEndpoint:
    """Accepts connections with a token, and joins each to one of the API."""

    def __init__(self, kubeconfig: Path, cluster: str) -> None:
        config: Any = yaml.safe_load(kubeconfig.read_text())
        server = urlsplit(str(config["clusters"][0]["cluster"]["server"]))
        self._host, self._port = str(server.hostname), server.port or 443
        authority = kubeconfig.parent / config["clusters"][0]["cluster"]["certificate-authority"]
        self._upstream = ssl.create_default_context(cafile=authority)
        self._credentials = f"Bearer {config['users'][0]['user']['token']}".encode()
        self._cluster = cluster
        self._authority = trustme.CA()
        self._known: set[str] = set()
        self.authority = self._authority.cert_pem.bytes()

    async def start(self) -> int:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate: Any = self._authority.issue_cert("127.0.0.1")
        certificate.configure_cert(context)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=2**20)
        return int(self._server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        await self._server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(END_OF_HEAD)
            if not await asyncio.to_thread(self._is_known, _token(head)):
                writer.write(REFUSED)
                await writer.drain()
                return
            upstream, upwards = await asyncio.open_connection(self._host, self._port, ssl=self._upstream)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._requests(head, reader, upwards))
                tasks.create_task(_copy(upstream, writer))
        except* (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _requests(
        self, head: bytes, reader: asyncio.StreamReader, upwards: asyncio.StreamWriter
    ) -> None:
        """Pass on the requests of a connection, with the API's own credentials."""
        try:
            while True:
                lines = [line for line in head.split(b"\r\n") if line]
                kept = [line for line in lines if not line.lower().startswith(b"authorization:")]
                upwards.write(b"\r\n".join([*kept, b"authorization: " + self._credentials]) + END_OF_HEAD)
                if length := int(_field(head, "content-length") or 0):
                    upwards.write(await reader.readexactly(length))
                await upwards.drain()
                head = await reader.readuntil(END_OF_HEAD)
        finally:
            upwards.close()

    def _is_known(self, token: str) -> bool:
        """Return True if STS knows the signer of the token, and it was signed for this cluster."""
        if token in self._known:
            return True
        if not token.startswith(PREFIX):
            return False
        encoded = token.removeprefix(PREFIX)
        url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        signed = parse_qs(urlsplit(url).query).get("X-Amz-SignedHeaders", [""])[0]
        if CLUSTER_HEADER not in signed.split(";"):
            return False
        request = urllib.request.Request(url, headers={CLUSTER_HEADER: self._cluster})
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except OSError:
            return False
        self._known.add(token)
        return True


def _field(head: bytes, name: str) -> str:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        found, _, value = line.partition(":")
        if found.lower() == name:
            return value.strip()
    return ""


def _token(head: bytes) -> str:
    return _field(head, "authorization").removeprefix("Bearer ")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def main(kubeconfig: Path, cluster: str, folder: Path) -> None:
    endpoint = EksEndpoint(kubeconfig, cluster)
    port = await endpoint.start()
    (folder / "ca.crt").write_bytes(endpoint.authority)
    sys.stdout.write(f"https://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await endpoint.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
