"""A bucket as a document that the next operator reads."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from gyrus.cost.bucket import CostBucket
from gyrus.cost.ledger import CostLedger

VERSION = 1
"""Version of the document. A change of its fields, or of their meaning, raises it."""
LARGEST = 2**24
"""The most bytes of a document that is read, decompressed."""


class UnreadableCosts(ValueError):
    """The document cannot be used. The message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketDocument:
    """A bucket, and the state of the ledger when it was written."""

    bucket: CostBucket
    until: int | None = None
    answered: Mapping[str, int] = field(default_factory=dict[str, int])


def write_bucket(ledger: CostLedger, bucket: CostBucket) -> bytes:
    document = BucketDocument(bucket=bucket, until=ledger.until, answered=ledger.answered)
    return zlib.compress(msgspec.json.encode(document), 1)


def read_bucket(document: bytes, version: int) -> BucketDocument:
    """Read a document. Raises UnreadableCosts if it is of another version, or damaged."""
    if version != VERSION:
        raise UnreadableCosts(f"they have version {version}, and this gyrus reads version {VERSION}")
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(document, LARGEST)
        return msgspec.json.decode(text, type=BucketDocument)
    except (zlib.error, msgspec.DecodeError) as error:
        raise UnreadableCosts(f"they are damaged ({error})") from error


def ledger_of(documents: Iterable[BucketDocument]) -> CostLedger:
    """Return the ledger that an earlier operator had. The document that was written last continues it."""
    found = tuple(documents)
    latest = max(found, key=lambda document: document.until or 0, default=None)
    return CostLedger(
        until=latest.until if latest else None,
        buckets={document.bucket.start: document.bucket for document in found},
        answered=latest.answered if latest else {},
    )
