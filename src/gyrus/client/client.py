"""The public client of an operator."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from gyrus.client.environments import Environment, Environments
from gyrus.client.errors import UnexpectedAnswer
from gyrus.client.prediction import EndpointCache, PredictionAnswer, encode
from gyrus.client.project import Project, ProjectArchive
from gyrus.client.rollout import RolloutProgress
from gyrus.client.streams import Gone, Streams
from gyrus.client.transport import Transport, api_path
from gyrus.contract.costs import CostView
from gyrus.contract.home import Home
from gyrus.contract.nodes import NodesView
from gyrus.contract.operator import (
    ApiDescription,
    ApiView,
    Deployed,
    DeployRequest,
    EventView,
    LogLine,
    LogQuery,
    NewToken,
    OperatorInfo,
    RevisionView,
    RollbackRequest,
    TokenRequest,
    TokenView,
)

Source = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Project
"""A YAML file, a folder with ``gyrus.yaml``, specifications as in the YAML, or a project read before."""


class Client:
    """A client of one operator.

    >>> with gyrus.Client() as client:                # the environment in use, as with the command line
    ...     for deployed in client.deploy("examples/iris"):
    ...         client.wait(deployed.name, deployed.generation)
    ...     client.predict("iris", {"sepal_length": 5.1})

    All methods raise :class:`gyrus.client.errors.ClientError`. Several threads may share one client.
    """

    def __init__(self, environment: Environment | str | None = None, *, timeout: float = 60.0) -> None:
        """Connect to the operator of an environment.

        ``environment`` is a name (as in ``gyrus env list``) or an :class:`Environment`. None means the one in
        use. ``timeout`` is the number of seconds without a byte after which the operator counts as
        unreachable.
        """
        if not isinstance(environment, Environment):
            home = Home.default()
            known = Environments.load(home)
            environment = known.resolve(known.choose(environment), home)
        self.environment = environment
        self._operator = Transport(environment, timeout)
        self._watching = Streams(self._operator)
        self._endpoints = EndpointCache(environment.endpoint_authority)
        self._urls: dict[str, str] = {}

    @classmethod
    def at(
        cls,
        url: str,
        token: str = "",
        *,
        certificate: str | os.PathLike[str] | None = None,
        authority: str | os.PathLike[str] | None = None,
        endpoint_authority: str | os.PathLike[str] | None = None,
        timeout: float = 60.0,
    ) -> Self:
        """Return a client of the operator at this URL.

        ``https://HOST:PORT`` requires the token. ``certificate`` is the file of the only certificate to
        accept; ``authority`` is that of an installation on Kubernetes; without both, the client accepts those
        that this system trusts. ``endpoint_authority`` is one that the endpoints' certificate may have, too.
        ``unix://PATH`` is the socket of your own operator on this machine.
        """
        remedy = f"Check that the operator runs and that this machine reaches {url}."
        certificate, authority, endpoint_authority = (
            None if file is None else Path(file) for file in (certificate, authority, endpoint_authority)
        )
        environment = Environment(
            url,
            url,
            token,
            "this token",
            remedy,
            certificate=certificate,
            authority=authority,
            endpoint_authority=endpoint_authority,
        )
        return cls(environment, timeout=timeout)

    def close(self) -> None:
        self._operator.close()
        self._endpoints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    def info(self) -> OperatorInfo:
        return self._operator.get("/info", OperatorInfo)

    def nodes(self) -> NodesView:
        """Return the cluster's nodes as the operator plans them. Empty if it plans none."""
        return self._operator.get("/nodes", NodesView)

    def costs(self) -> CostView:
        """Return the costs of the cluster and of its APIs."""
        return self._operator.get("/costs", CostView)

    def apis(self) -> list[ApiView]:
        return self._operator.get("/apis", list[ApiView])

    def api(self, name: str) -> ApiView:
        return self._operator.get(api_path(name), ApiView)

    def describe(self, name: str) -> ApiDescription:
        """Return everything about one API."""
        return self._operator.get(f"{api_path(name)}/description", ApiDescription)

    def history(self, name: str) -> list[RevisionView]:
        """Return the API's revisions, newest first."""
        return self._operator.get(f"{api_path(name)}/revisions", list[RevisionView])

    def events(
        self, name: str, *, since: float | None = None, limit: int = 100, after: int = 0
    ) -> list[EventView]:
        """Return the latest ``limit`` events of an API, oldest first.

        Only those since ``since`` (seconds since the epoch), and with an id above ``after``.
        """
        return self._watching.events(name, since, limit, after)

    # Changing

    def deploy(
        self,
        source: Source,
        *,
        package: str | None = None,
        on_upload: Callable[[int, int], None] | None = None,
    ) -> list[Deployed]:
        """Deploy these APIs, all or none.

        Returns when the operator has recorded them; :meth:`wait` waits until they are live. This is safe to
        repeat: an unchanged API starts no rollout. ``package`` is the digest of uploaded files, for
        specifications given as data. ``on_upload`` is called with the bytes sent and their total.

        Raises ``gyrus.spec.faults.SpecError`` or ``gyrus.packaging.errors.PackagingError``, before it sends
        anything, if the YAML or the files are faulty.
        """
        if isinstance(source, (str, os.PathLike)):
            with Project.read(Path(source), self.info().max_package) as project:
                return self.deploy(project, on_upload=on_upload)
        if isinstance(source, Project):
            package = self.upload_package(source.package, on_upload)
            source = source.specs
        wanted = DeployRequest(apis=tuple(dict(spec) for spec in source), package=package)
        return self._operator.decode(self._operator.send("POST", "/deployments", json=wanted), list[Deployed])

    def rollback(self, name: str, to: int | None = None) -> Deployed:
        """Roll back to revision ``to``; None means the one that was live before.

        Without ``to`` this is not safe to repeat.
        """
        sent = RollbackRequest(to=to)
        answer = self._operator.send("POST", f"{api_path(name)}/rollback", json=sent, idempotent=False)
        return self._operator.decode(answer, Deployed)

    def refresh(self, name: str) -> Deployed:
        """Replace the replicas with new ones of the same revision."""
        answer = self._operator.send("POST", f"{api_path(name)}/refresh", idempotent=False)
        return self._operator.decode(answer, Deployed)

    def delete(self, name: str) -> ApiView:
        """Start to drain and remove an API; :meth:`watch` yields Gone when it is removed."""
        return self._operator.decode(self._operator.send("DELETE", api_path(name)), ApiView)

    def stop(self) -> None:
        """Drain all replicas, stop the gateway and end the operator.

        Deployments come back on the next start.
        """
        self._operator.send("POST", "/stop", idempotent=False)

    # Tokens

    def tokens(self) -> list[TokenView]:
        """Return the tokens that are not revoked, by name, without the platform's first one."""
        return self._operator.get("/tokens", list[TokenView])

    def create_token(self, name: str, *, read_only: bool = False) -> NewToken:
        """Create a token of the operator's port. The operator does not keep it: this is the only copy."""
        wanted = TokenRequest(name=name, read_only=read_only)
        answer = self._operator.send("POST", "/tokens", json=wanted, idempotent=False)
        return self._operator.decode(answer, NewToken)

    def revoke_token(self, name: str) -> None:
        """Revoke a token at once. Requests and streams that use it end."""
        self._operator.send("DELETE", f"/tokens/{quote(name, safe='')}", idempotent=False)

    # Following

    def watch(self, *names: str, timeout: float | None = None) -> Iterator[ApiDescription | Gone]:
        """Yield each API's description, at once and whenever it changes. Ends after ``timeout`` seconds."""
        return self._watching.apis(names, timeout)

    def watch_all(self, timeout: float | None = None) -> Iterator[list[ApiView]]:
        """Yield all APIs, at once and whenever one changes."""
        return self._watching.lists(timeout)

    def follow_events(
        self, name: str, *, since: float | None = None, limit: int = 100
    ) -> Iterator[EventView]:
        """Yield the events of :meth:`events`, then each new event. Ends when the API is deleted."""
        return self._watching.follow_events(name, since, limit)

    def progress(self, awaited: Mapping[str, int], timeout: float | None = None) -> Iterator[RolloutProgress]:
        """Follow the rollouts of these generations (by API) until all have ended.

        Raises StillWaiting if ``timeout`` seconds pass before that.
        """
        return self._watching.rollouts(awaited, timeout)

    def wait(self, name: str, generation: int, timeout: float | None = None) -> ApiDescription:
        """Wait until this generation is live and return the API. Raises RolloutFailed and StillWaiting."""
        *_, last = self.progress({name: generation}, timeout)
        return last.result()

    def logs(
        self,
        name: str,
        *,
        replica: str | None = None,
        since: float | None = None,
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> Iterator[LogLine]:
        """Yield the lines of all replicas in time order; see :class:`gyrus.contract.operator.LogQuery`."""
        return self._watching.logs(
            LogQuery(api=name, replica=replica, since=since, follow=follow, previous=previous, tail=tail)
        )

    # Predicting

    def predict(self, name: str, payload: object, *, timeout: float | None = None) -> Any:
        """Post a payload to the API and return its answer.

        ``bytes`` are sent unchanged, anything else as JSON. A JSON answer is returned as Python data, text as
        ``str``, anything else as ``bytes``. Raises PredictionFailed.
        """
        body, media_type = encode(payload)
        return self.call(name, body, media_type, timeout=timeout).value()

    def openapi(self, name: str) -> dict[str, Any]:
        """Return the API's OpenAPI document. It is read past the gateway, so it is no traffic of the API.

        Empty if the API has none (it is not a handler), or if no replica is ready.
        """
        return self._operator.get(f"{api_path(name)}/openapi", dict[str, Any])

    def call(
        self,
        name: str,
        body: bytes,
        media_type: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> PredictionAnswer:
        """Post to the API's endpoint. The answer can be read while it arrives."""
        return self._endpoints.post(self._url(name), body, media_type, headers or {}, timeout)

    def _url(self, name: str) -> str:
        return self._urls.get(name) or self._urls.setdefault(name, self.api(name).endpoint)

    def download_package(self, digest: str, file: BinaryIO) -> None:
        """Write a package's archive into an open file. Raises UnexpectedAnswer if it is not the package."""
        found = hashlib.sha256()
        with self._operator.stream(f"/packages/{digest}", ()) as chunks:
            for chunk in chunks:
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != digest:
            raise UnexpectedAnswer(f"The operator did not return the package {digest}, but other bytes.")

    # Steps of a deploy

    def has_package(self, digest: str) -> bool:
        return self._operator.send("HEAD", f"/packages/{digest}", allowed=frozenset({404})).status == 200

    def upload(self, digest: str, content: bytes | Iterable[bytes], size: int) -> None:
        """Send an archive made by :mod:`gyrus.packaging`."""
        headers = {"content-type": "application/x-tar", "content-length": str(size)}
        self._operator.send("PUT", f"/packages/{digest}", body=content, headers=headers)

    def upload_package(
        self, package: ProjectArchive, on_progress: Callable[[int, int], None] | None = None
    ) -> str:
        """Upload a package if the operator lacks it, and return its digest."""
        if not self.has_package(package.digest):
            self.upload(package.digest, package.chunks(on_progress), package.size)
        return package.digest
