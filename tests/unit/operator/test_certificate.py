"""The certificate of the operator's port."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from gyrus.contract.home import Home
from gyrus.operator import certificate
from gyrus.operator.certificate import tls_of
from gyrus.operator.errors import StartError


def test_it_is_made_once_and_its_key_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    tls_of(home)
    made = home.certificate.read_bytes()
    tls_of(home)
    assert home.certificate.read_bytes() == made
    assert stat.S_IMODE(home.certificate_key.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["operator.crt", "operator.key"])
def test_half_of_it_is_none(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    tls_of(home)
    made = home.certificate.read_bytes()
    (tmp_path / name).unlink()
    tls_of(home)
    assert home.certificate.read_bytes() != made


def test_it_is_replaced_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    tls_of(home)
    made = home.certificate.read_bytes()
    monkeypatch.setattr(certificate, "RENEWAL", certificate.VALID + timedelta(days=1))
    tls_of(home)
    assert home.certificate.read_bytes() != made


def test_files_that_do_not_match_are_named(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "a"), Home(tmp_path / "b")
    for each in (home, other):
        each.root.mkdir()
        tls_of(each)
    home.certificate_key.write_bytes(other.certificate_key.read_bytes())
    with pytest.raises(StartError, match=r"operator\.crt and .*operator\.key"):
        tls_of(home)
