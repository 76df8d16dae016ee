from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from gyrus.objects.errors import ObjectsRefused
from gyrus.objects.location import ObjectLocation, parse_location
from gyrus.objects.opening import open_objects


@pytest.mark.parametrize(
    ("url", "location", "normal"),
    [
        ("s3://my-bucket", ObjectLocation("my-bucket", ""), "s3://my-bucket"),
        ("s3://my-bucket/a/b/", ObjectLocation("my-bucket", "a/b"), "s3://my-bucket/a/b"),
        ("file:///srv/models/", ObjectLocation("", "/srv/models"), "file:///srv/models"),
        ("file:///my%20models", ObjectLocation("", "/my models"), "file:///my models"),
    ],
)
def test_a_url_is_parsed(url: str, location: ObjectLocation, normal: str) -> None:
    assert parse_location(url) == location
    assert location.url == normal


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("models", "is not a URL of objects; write for example s3://my-bucket/models/iris"),
        ("gs://b/a", "has the unknown scheme gs:; write for example s3://my-bucket/models/iris"),
        ("s3://B/a", "has no valid bucket name ('B'); write for example s3://my-bucket/models/iris"),
        ("s3:///a", "has no valid bucket name (''); write for example s3://my-bucket/models/iris"),
        ("file://a/b", "is not an absolute path; write for example file:///srv/models/iris"),
        ("s3://my-bucket/a/../b", "has a part that is empty, . or ..; write the path without it"),
        ("s3://my-bucket/a//b", "has a part that is empty, . or ..; write the path without it"),
    ],
)
def test_a_bad_url_is_reported(url: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_location(url)
    assert str(raised.value) == message


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return original(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.delitem(sys.modules, "obstore.store", raising=False)
    with pytest.raises(ObjectsRefused) as raised:
        open_objects(parse_location("s3://my-bucket/a"), {})
    assert str(raised.value) == (
        "s3://my-bucket cannot be reached without the package obstore: install gyrus[aws] where the operator "
        "runs."
    )
