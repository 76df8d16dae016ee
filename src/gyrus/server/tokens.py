"""The tokens of the API: which ones exist, and the requests that use them now."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from gyrus.aio.clock import Clock
from gyrus.state.errors import Conflict
from gyrus.state.records import Token
from gyrus.state.store import Store

log = logging.getLogger(__name__)

ADMIN = "admin"
"""The name of the platform's first token, which is not in the store."""
PREFIX = "gyrus_"
"""Begins each token, so that people and scanners of secrets recognise one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of a request: a token, or a user of the operator's machine."""

    name: str
    """For events and the log: ``token ci``, ``user root``."""
    read_only: bool = False
    token: Token | None = None
    """The named token that the request has."""


class TokenBook:
    """The tokens of the store, read once: only the operator that leads changes them."""

    def __init__(self, store: Store, clock: Clock, admin: str | None) -> None:
        """``admin``: the first token. None if the API has no port."""
        self._store = store
        self._clock = clock
        self._admin = admin
        self._known: dict[str, Token] | None = None
        self._uses: dict[str, set[asyncio.Timeout]] = {}
        """By digest: the requests that have this token."""

    async def find(self, token: str) -> Caller | Token | None:
        """Return the caller with this token. Returns the token itself if it was revoked. None if unknown.

        Raises StateError.
        """
        # Takes the same time for every token, so that timing does not reveal how much of it is right.
        if self._admin and hmac.compare_digest(token.encode(), self._admin.encode()):
            return Caller(f"token {ADMIN}")
        found = (await self._tokens()).get(digest_of(token))
        if found is None or found.revoked_at is not None:
            return found
        return Caller(f"token {found.name}", found.read_only, found)

    async def active(self) -> list[Token]:
        """Return the tokens that are not revoked, by name. Raises StateError."""
        return [token for token in (await self._tokens()).values() if token.revoked_at is None]

    async def create(self, name: str, by: Caller, *, read_only: bool) -> str:
        """Create a token and return it. It is not kept. Raises Conflict and StateError."""
        if name == ADMIN:
            raise Conflict(f"{ADMIN} is the platform's first token. Choose another name.")
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            name=name,
            digest=digest_of(secret),
            read_only=read_only,
            created_at=self._clock.now(),
            created_by=by.name,
        )
        await self._store.create_token(token)
        await self._reload()
        log.info("%s created the token %s%s", by.name, name, " (read-only)" if read_only else "")
        return secret

    async def revoke(self, name: str, by: Caller) -> None:
        """Revoke a token, and end the requests that use it. Raises UnknownToken, Conflict and StateError."""
        if name == ADMIN:
            raise Conflict(
                f"{ADMIN} is the platform's first token and cannot be revoked. Replace it: on one machine, "
                "each start does; on Kubernetes, delete the key token of the Secret gyrus-operator-secrets, "
                "and run gyrus cluster install."
            )
        revoked = await self._store.revoke_token(name, self._clock.now())
        await self._reload()
        for use in tuple(self._uses.get(revoked.digest, ())):
            use.reschedule(asyncio.get_running_loop().time())
        log.info("%s revoked the token %s", by.name, name)

    @contextmanager
    def used(self, caller: Caller, limit: asyncio.Timeout) -> Generator[None]:
        """Let the revocation of the caller's token end this timeout at once, until the block ends."""
        if caller.token is None:
            yield
            return
        digest = caller.token.digest
        uses = self._uses.setdefault(digest, set())
        uses.add(limit)
        try:
            yield
        finally:
            uses.discard(limit)
            if not uses:
                self._uses.pop(digest, None)

    async def _tokens(self) -> dict[str, Token]:
        """Return all tokens by digest."""
        return await self._reload() if self._known is None else self._known

    async def _reload(self) -> dict[str, Token]:
        self._known = {token.digest: token for token in await self._store.tokens()}
        return self._known


def digest_of(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
