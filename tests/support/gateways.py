"""Several real Envoys on one AdsGateway, each with a wire to it that can be held up, cut or spoilt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from gyrus.aio.clock import SystemClock
from gyrus.routing.ads import AdsGateway
from gyrus.routing.bootstrap import EnvoyFiles, bootstrap, tls_secrets
from gyrus.routing.envoy import locate
from gyrus.routing.resources import listener
from gyrus.routing.resources.kinds import Json
from gyrus.routing.settings import AdsAddress, GatewaySettings, TlsFiles, UnixAddress
from gyrus.state.board import Board, Endpoints, Route
from support.routes import route_to
from support.upstreams import Answer, Upstream, free_port, until


@dataclass
class Wire:
    """A Unix socket in front of the operator's. It carries bytes both ways until it is held up or cut."""

    path: Path
    operator: Path
    spoilt: tuple[bytes, bytes] | None = None
    """Bytes on the way to Envoy, and what they become; as many."""
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    async def open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    def hold_up(self) -> None:
        """What the operator sends arrives later."""
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Break the streams, and let none begin."""
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self.path.unlink(missing_ok=True)

    async def close(self) -> None:
        self.cut()
        self.go_on()
        await until(lambda: not self._writers)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_unix_connection(self.operator)
        self._writers |= {writer, onward}
        with contextlib.suppress(ConnectionError):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, onward, to_envoy=False), name="to the operator")
                group.create_task(self._carry(onward_reader, writer, to_envoy=True), name="to Envoy")
        self._writers -= {writer, onward}

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_envoy: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if to_envoy:
                    await self._flows.wait()
                    data = data.replace(*self.spoilt) if self.spoilt else data
                writer.write(data)
                await writer.drain()
        writer.close()


@dataclass
class GatewayNode:
    """One Envoy. Besides the port that all gateways share, it has one of its own, so that tests can
    choose."""

    name: str
    folder: Path
    settings: GatewaySettings
    address: AdsAddress
    tls: TlsFiles | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        file = self.folder / f"{self.name}.json"
        file.write_text(json.dumps(self._bootstrap()))
        command = [str(locate()[0]), "--config-path", str(file), "--concurrency", "1", "--log-level", "error"]
        output = (self.folder / f"{self.name}.log").open("wb")
        self.process = subprocess.Popen([*command, "--disable-hot-restart"], stdout=output, stderr=output)
        output.close()

    def _bootstrap(self) -> Json:
        files = EnvoyFiles(
            admin=self.folder / f"{self.name}-admin.sock",
            bodies=self.folder / f"{self.name}-bodies.sock",
            pressure=self.folder / "pressure",
        )
        config = bootstrap(self.name, files, self.address, self.settings, self.tls)
        for secret in tls_secrets(files, self.tls) if self.tls else ():
            secret.file.write_text(json.dumps(secret.document))
        own = listener.listener(replace(self.settings, port=self.port), None)
        config["static_resources"]["listeners"] = [{**own, "name": self.name}]
        return config

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    async def ask(self, api: str) -> str:
        """Which upstream answers; the status where none does, or empty where nothing listens."""
        try:
            async with httpx.AsyncClient() as client:
                answered = await client.get(f"{self.url}/{api}")
        except httpx.TransportError:
            return ""
        return answered.json()["upstream"] if answered.status_code == 200 else str(answered.status_code)

    async def answers(self, api: str, upstream: str) -> None:
        """Wait until requests through this gateway reach it."""
        async with asyncio.timeout(20):
            while await self.ask(api) != upstream:  # noqa: ASYNC110 (Envoy sets no event of ours)
                await asyncio.sleep(0.01)


class Gateways:
    """The operator's part, and the Envoys that the test starts. The test plays control."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.board = Board()
        self.settings = GatewaySettings(port=free_port(), concurrency=1)
        self.socket = folder / "xds.sock"
        self.ads = AdsGateway(self.board, UnixAddress(self.socket), self.settings, SystemClock())
        self.wires: dict[str, Wire] = {}
        self._nodes: list[GatewayNode] = []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Gateways]:
        try:
            async with self.ads.serving():
                yield self
        finally:
            for node in self._nodes:
                node.kill()
            for wire in self.wires.values():
                await wire.close()

    async def node(self, name: str, *, held_up: bool = False) -> GatewayNode:
        """Start an Envoy, and wait until it serves, unless its wire is held up."""
        wire = self.wires[name] = Wire(self.folder / f"{name}-xds.sock", self.socket)
        await wire.open()
        if held_up:
            wire.hold_up()
        node = GatewayNode(name, self.folder, self.settings, UnixAddress(wire.path))
        self._nodes.append(node)
        node.start()
        if not held_up:
            await until(lambda: self.serves(name))
        return node

    def upstream(self, name: str, behave: Answer | None = None) -> Upstream:
        return Upstream(name, self.folder / f"{name}.sock", behave)

    def put_route(self, api: str, *upstreams: Upstream, **fields: Any) -> Route:
        """Want this route."""
        route = route_to(api, [one.endpoint for one in upstreams], **fields)
        self.board.routes[api] = route
        self.board.route_signals.notify(api)
        return route

    async def route(self, api: str, *upstreams: Upstream) -> None:
        """Want this route, and wait until every gateway that serves has it."""
        route = self.put_route(api, *upstreams)
        await until(lambda: self.acknowledged(api) == route.endpoints)

    def acknowledged(self, api: str) -> Endpoints:
        return self.board.acknowledged_of(api)

    def reachable(self, api: str) -> Endpoints:
        return self.board.reachable_of(api)

    def serves(self, node: str) -> bool:
        return node in self.ads.serving_nodes

    async def confirmed(self, node: str) -> None:
        """Wait until this node has confirmed all that is wanted, or refused it."""
        await until(lambda: self.ads.settled(node))


def tls_files(folder: Path, authority: str, name: str) -> TlsFiles:
    """A real certificate, by an authority that is made where it is not there."""
    authority_pair = folder / f"{authority}.pem", folder / f"{authority}.key"
    certificate, key, request = (folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
    new = ["openssl", "req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    if not authority_pair[0].exists():
        files = ["-out", str(authority_pair[0]), "-keyout", str(authority_pair[1])]
        _run([*new, "-x509", "-days", "2", "-subj", f"/CN={authority}", *files])
    _run([*new, "-subj", f"/CN={name}", "-out", str(request), "-keyout", str(key)])
    names = folder / f"{name}.ext"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ["-CA", str(authority_pair[0]), "-CAkey", str(authority_pair[1]), "-CAcreateserial"]
    made = ["-days", "2", "-extfile", str(names), "-in", str(request), "-out", str(certificate)]
    _run(["openssl", "x509", "-req", *signing, *made])
    return TlsFiles(certificate=certificate, key=key, authority=authority_pair[0])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
