"""The specification of an object, and its faults in the words of the YAML's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.custom_resource.declaration import Declaration, Faults, PackageSource, read_declaration

DIGEST = "0" * 64
SPEC = {"kind": "RealtimeAPI", "handler": {"path": "handler.py"}, "package": {"sha256": DIGEST}}


def faults_of(**changes: Any) -> tuple[str, ...]:
    read = read_declaration("iris", {**SPEC, **changes})
    assert isinstance(read, Faults)
    return read.lines


def test_a_specification_and_its_package() -> None:
    url = "https://example.com/iris.tar"
    read = read_declaration("iris", {**SPEC, "package": {"sha256": DIGEST, "url": url}})
    assert isinstance(read, Declaration)
    assert (read.spec.name, read.package) == ("iris", PackageSource(digest=DIGEST, url=url))


def test_a_process_needs_no_package() -> None:
    read = read_declaration("echo", {"kind": "RealtimeAPI", "process": {"command": ["serve"]}})
    assert isinstance(read, Declaration)
    assert read.package is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"handler": {"pth": "handler.py"}},
            'spec.handler.pth: unknown field; did you mean "path"?',
        ),
        (
            {"package": None},
            "spec.package: its files are missing; "
            "name a package: its sha256, and its url if it was not uploaded before",
        ),
        ({"package": "x"}, "spec.package: must be a mapping; write sha256: and the package's digest"),
        (
            {"package": {"sha256": "abc"}},
            "spec.package.sha256: must have 64 lower-case hexadecimal digits; "
            "`gyrus package build` and `gyrus package push` print them",
        ),
        (
            {"package": {"sha256": DIGEST, "url": "file:///etc/passwd"}},
            "spec.package.url: must be an address that begins with https:// or http://",
        ),
        (
            {"package": {"sha256": DIGEST, "digest": "x"}},
            "spec.package.digest: unknown field; it has the fields sha256 and url",
        ),
        (
            {"name": "other"},
            "spec.name: other is not the name of the object, iris; leave the field out",
        ),
    ],
)
def test_a_fault_names_its_place_within_the_object(changes: dict[str, Any], message: str) -> None:
    assert message in faults_of(**changes)


def test_many_faults_are_shortened() -> None:
    text = str(Faults(tuple(f"fault {number}" for number in range(25))))
    assert text.splitlines()[-2:] == ["fault 19", "and 5 more"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*SPEC, "name", "compute", "env"]) | st.text(max_size=5), _json))
def test_whatever_the_cluster_stores_is_read_or_has_faults(spec: dict[str, Any]) -> None:
    read = read_declaration("iris", spec)
    assert isinstance(read, Declaration) or read.lines
