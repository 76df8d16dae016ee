"""The files of a gateway's pod."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.contract import cluster
from gyrus.routing.gateway_pod import PodFiles, documents_of

FILES = PodFiles(Path("/run"))
ENVIRONMENT = {cluster.POD_NAME_VARIABLE: "gateway-1", cluster.POD_NAMESPACE_VARIABLE: "ml"}


def listeners(environ: dict[str, str]) -> dict[str, int]:
    """The ports of the pod's own listeners, by name."""
    static = documents_of(environ, FILES)[FILES.bootstrap]["static_resources"]
    return {each["name"]: each["address"]["socket_address"]["port_value"] for each in static["listeners"]}


def test_a_pod_without_a_certificate_has_no_port_with_tls() -> None:
    assert listeners(ENVIRONMENT) == {"gyrus.readiness": cluster.ADMIN_PORT}
    assert {file.name for file in documents_of(ENVIRONMENT, FILES)} == {
        "bootstrap.json",
        "gyrus.own-certificate.json",
        "gyrus.operator-authority.json",
    }


def test_a_pod_with_a_certificate_has_a_port_with_tls_and_one_that_redirects() -> None:
    environ = {**ENVIRONMENT, cluster.HTTPS_PORT_VARIABLE: "30443"}
    assert listeners(environ) == {
        "gyrus.readiness": cluster.ADMIN_PORT,
        "gyrus.tls": cluster.GATEWAY_TLS_PORT,
        "gyrus.redirect": cluster.REDIRECT_PORT,
    }
    documents = documents_of(environ, FILES)
    [resource] = documents[Path("/run/gyrus.endpoint-certificate.json")]["resources"]
    assert resource["tls_certificate"] == {
        "certificate_chain": {"filename": "/etc/gyrus/endpoint-tls/tls.crt"},
        "private_key": {"filename": "/etc/gyrus/endpoint-tls/tls.key"},
        "watched_directory": {"path": "/etc/gyrus/endpoint-tls"},
    }


def test_every_file_that_the_bootstrap_names_is_written() -> None:
    environ = {**ENVIRONMENT, cluster.HTTPS_PORT_VARIABLE: "443"}
    documents = documents_of(environ, FILES)
    assert named(documents[FILES.bootstrap]) == {str(file) for file in documents} - {str(FILES.bootstrap)}


def named(item: object) -> set[str]:
    """All files of resources that a configuration names."""
    match item:
        case {"path_config_source": {"path": str(path)}}:
            return {path}
        case dict():
            return {path for each in item.values() for path in named(each)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType] -- of any type
        case list():
            return {path for each in item for path in named(each)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- of any type
        case _:
            return set()


@pytest.mark.parametrize("missing", ENVIRONMENT)
def test_a_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        documents_of({name: value for name, value in ENVIRONMENT.items() if name != missing}, FILES)
