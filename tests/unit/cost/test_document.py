"""Documents of buckets."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cost.document import VERSION, UnreadableCosts, ledger_of, read_bucket, write_bucket
from gyrus.cost.ledger import CostLedger, metered
from gyrus.cost.observation import CostObservation
from support.costs import observations


def restored(ledger: CostLedger) -> CostLedger:
    documents = [write_bucket(ledger, bucket) for bucket in ledger.buckets.values()]
    return ledger_of(read_bucket(document, VERSION) for document in documents)


@given(st.lists(observations(st.floats(0, 20_000, allow_nan=False)), min_size=2, max_size=5))
def test_the_next_operator_continues_where_the_last_one_ended(observed: list[CostObservation]) -> None:
    ledger = CostLedger()
    for each in observed:
        ledger = metered(ledger, each)
    if ledger.buckets:
        assert restored(ledger) == ledger


def test_no_documents_are_an_empty_ledger() -> None:
    assert ledger_of([]) == CostLedger()


def test_a_document_of_another_version_is_refused() -> None:
    with pytest.raises(UnreadableCosts, match=r"^they have version 99, and this gyrus reads version 1$"):
        read_bucket(b"", 99)


@pytest.mark.parametrize("document", [b"", b"nonsense", zlib.compress(b"[]"), zlib.compress(b"{")])
def test_a_damaged_document_is_refused(document: bytes) -> None:
    with pytest.raises(UnreadableCosts, match=r"^they are damaged"):
        read_bucket(document, VERSION)
