from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.operator.errors import StartError
from gyrus.operator.pod_place import PodPlace

VARIABLES = {
    "POD_NAMESPACE": "gyrus",
    "POD_NAME": "gyrus-operator-1",
    "POD_IP": "10.0.0.7",
    "GYRUS_RUNTIME_IMAGE": "gyrus-runtime:1",
}


def test_the_variables_of_the_pod_are_read() -> None:
    place = PodPlace.of(VARIABLES)
    assert place.gateway_url == ""
    known = PodPlace.of({**VARIABLES, "GYRUS_GATEWAY_URL": "https://models.example.org"})
    assert known.gateway_url == "https://models.example.org"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(StartError, match=f"The variable {name} is missing"):
        PodPlace.of({key: value for key, value in VARIABLES.items() if key != name})


def test_a_missing_secret_is_named_with_the_remedy(tmp_path: Path) -> None:
    place = PodPlace(
        namespace="n",
        pod="p",
        address="1",
        runtime_image="i",
        gateway_url="u",
        tls=tmp_path,
        secrets=tmp_path,
    )
    with pytest.raises(StartError, match=r"The secret token cannot be read .*Run `gyrus cluster install`"):
        place.secret("token")
    (tmp_path / "token").write_text("hush\n")
    assert place.secret("token") == "hush"
    with pytest.raises(StartError, match=r"The certificate in .* cannot be used"):
        place.server_tls()
