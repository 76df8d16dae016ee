"""The tables, as the queries use them. Their history is in ``migrations``. A test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond. All are converted, since SQLite stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Prose(TypeDecorator[str]):
    """Text of any origin, such as a replica's output.

    Characters that a database cannot store become U+FFFD or ``?``.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value


metadata = MetaData()

packages = Table(
    "packages",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("uploaded_at", Instant, nullable=False),
)

apis = Table(
    "apis",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("target", Integer, nullable=False),
    Column("live", Integer),
    Column("outcome", Text, nullable=False),
    Column("message", Prose, nullable=False),
    Column("replicas", Integer, nullable=False),
    Column("deleting", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("owner", Text, nullable=False),
)
"""``target`` and ``live`` are numbers of rollouts."""

revisions = Table(
    "revisions",
    metadata,
    Column("api", Text, ForeignKey("apis.name", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("package", Text, ForeignKey("packages.digest")),
    Column("created_at", Instant, nullable=False),
    Column("spec_version", Integer, nullable=False),
    Index("revisions_package", "package"),
)
"""``spec`` is a document of the version ``spec_version`` (:mod:`gyrus.spec.stored`);
``path`` is its endpoint path, for the check that no two APIs share one."""

rollouts = Table(
    "rollouts",
    metadata,
    Column("api", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("started_by", Prose, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("message", Prose, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    ForeignKeyConstraint(["api", "revision"], ["revisions.api", "revisions.number"], ondelete="CASCADE"),
)
"""One row for each generation, by its number."""

starts = Table(
    "starts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("api", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("time", Instant, nullable=False),
    ForeignKeyConstraint(["api", "revision"], ["revisions.api", "revisions.number"], ondelete="CASCADE"),
    Index("starts_revision", "api", "revision", "kind", "id"),
)
"""``id`` is their order."""

memories = Table(
    "scaling_memories",
    metadata,
    Column("api", Text, ForeignKey("apis.name", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("saved_at", Instant, nullable=False),
)
"""``document`` is of the version ``version`` (:mod:`gyrus.autoscaling.memory`)."""

nodes_record = Table(
    "nodes_record",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),
)
"""At most one row, with the ID 1 (:mod:`gyrus.cluster.aws.nodes.record`)."""

cost_buckets = Table(
    "cost_buckets",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
"""``start``: seconds since the epoch. ``document`` is of the version ``version``
(:mod:`gyrus.cost.document`)."""

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("api", Text, ForeignKey("apis.name", ondelete="CASCADE"), nullable=False),
    Column("time", Instant, nullable=False),
    Column("type", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Prose, nullable=False),
    Column("replica", Text),
    Column("occurrences", Integer, nullable=False),
    Column("first_time", Instant),
    Index("events_api", "api", "id"),
    sqlite_autoincrement=True,
)
"""``id`` is their order. Followers rely on it, so SQLite must not use a deleted row's id again."""

leadership = Table("leadership", metadata, Column("leader", Text, primary_key=True))
"""One row with the operator that may write, on databases that several operators reach."""

files = Table(
    "files",
    metadata,
    Column("content", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("used_at", Double, nullable=False),
    Index("files_name", "name"),
)
"""``content`` is random: a file replaces an earlier one of its ``name`` when it is complete."""

file_chunks = Table(
    "file_chunks",
    metadata,
    Column("content", Text, ForeignKey("files.content", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
"""The bytes of files, in order."""

log_segments = Table(
    "log_segments",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("api", Text, nullable=False),
    Column("replica", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("first", Double, nullable=False),
    Column("last", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("lines", Text, nullable=False),
    Index("log_segments_api", "api", "last"),
    Index("log_segments_source", "replica", "source", "id"),
)
"""Output of replicas, also of those that are gone; ``number`` is that of the last batch. It has no foreign
key: it is written without the lock of deploys."""

tokens = Table(
    "tokens",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Prose, nullable=False),
    Column("revoked_at", Instant),
)
"""``digest`` is the token's SHA-256. Of each name, at most one token is not revoked."""
