"""A values file, and its faults with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.cluster.settings import ClusterSettings
from gyrus.cluster.values import load_values, parse_values
from gyrus.spec.faults import SpecError


def test_settings_are_read() -> None:
    text = "gateway:\n  service: NodePort\n  node_port: 30080\noperator: {storage: none}\n"
    settings = parse_values(text, "values.yaml")
    assert (settings.gateway.service, settings.gateway.node_port) == ("NodePort", 30080)
    assert settings.operator.storage == "none"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\n\n"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert parse_values(text, "values.yaml") == ClusterSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gatewy: 1\n", 'v:1:1: gatewy: unknown field; did you mean "gateway"?'),
        (
            "gateway:\n  replicas: many\n",
            'v:2:13: gateway.replicas: must be a whole number, not "many"; write for example replicas: 2',
        ),
        ("gateway: {replicas: 0}\n", "v:1:21: gateway.replicas: must be from 1 to 100, not 0"),
        (
            "gateway: {service: Nodeport}\n",
            'v:1:20: gateway.service: "Nodeport" is not a service; did you mean "NodePort"?',
        ),
        (
            "operator:\n  storage: 5 GB\n",
            'v:2:12: operator.storage: "5 GB" is not the size of a volume; write for example 10Gi, or none',
        ),
        (
            "operator: {log_archive: {per_api: 0Mi}}\n",
            'v:1:35: operator.log_archive.per_api: "0Mi" is not a size; write for example 64Mi or 1Gi',
        ),
        (
            "operator: {log_archive: {age: 7d}}\n",
            'v:1:31: operator.log_archive.age: "7d" is not a duration; write for example 168h for a week',
        ),
        (
            "cloudwatch: {region: eu-west-1}\n",
            "v:1:13: cloudwatch.cluster: is missing; write for example cluster: models",
        ),
        (
            "cloudwatch: {cluster: models, region: Ireland}\n",
            'v:1:39: cloudwatch.region: "Ireland" is not a region; write for example us-east-1',
        ),
        (
            "cloudwatch: {cluster: models, region: eu-west-1, log_group: 'a b'}\n",
            'v:1:61: cloudwatch.log_group: "a b" is not the name of a log group; '
            "write for example /gyrus/models",
        ),
        (
            "gateway: {service: ClusterIP, node_port: 30080}\n",
            "v:1:31: gateway.node_port: a Service of type ClusterIP has no port on nodes; "
            "write service: NodePort",
        ),
        (
            "images: {gyrus: 'A B'}\n",
            'v:1:17: images.gyrus: "A B" is not an image; write for example registry.example.com/gyrus:0.1.0',
        ),
        (
            "operator: {store: postgresql://me:secret@db/gyrus}\n",
            "v:1:19: operator.store: must name a Secret, since the URL has a password; create one with: "
            "kubectl create secret generic gyrus-store --from-literal=url=postgresql://…, and write "
            "store: {secret: gyrus-store}",
        ),
        (
            "operator: {store: {secret: gyrus-store}, storage: 5Gi}\n",
            "v:1:42: operator.storage: with a store, the state is in PostgreSQL, and the operators have no "
            "volume; leave storage out",
        ),
        (
            "operator: {store: {secret: gyrus-store, key: a/b}}\n",
            'v:1:46: operator.store.key: "a/b" is not a key of a Secret; write letters, digits, -, _ and .',
        ),
        (
            "gateway: {service: ClusterIP, tls: {secret: a, node_port: 30443}}\n",
            "v:1:48: gateway.tls.node_port: a Service of type ClusterIP has no port on nodes; "
            "write service: NodePort",
        ),
        (
            "gateway: {tls: {secret: a, port: 80}}\n",
            "v:1:34: gateway.tls.port: is the port of HTTP, too: 80; choose another one for tls.port or for "
            "port",
        ),
        (
            "gateway: {tls: {secret: a}, url: 'http://models.example.com'}\n",
            "v:1:34: gateway.url: has no TLS, which tls asks for; write https://",
        ),
        (
            "gateway: {tls: {secret: a}, service: NodePort}\n",
            "v:1:16: gateway.tls: has no node_port, and a redirect must name the port of HTTPS; write "
            "node_port (30000 to 32767), or http: serve, or the url of the endpoints",
        ),
        ("gateway: {tls: {}}\n", "v:1:16: gateway.tls.secret: is missing"),
        ("- a\n", "v:1:1: the file must be a mapping; write for example gateway: {replicas: 2}"),
        ("a: [\n", "v:1:1: a bracket is not closed; add the ] or } that is missing"),
    ],
)
def test_faults_have_their_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(SpecError) as fault:
        parse_values(text, "v")
    assert str(fault.value) == message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    with pytest.raises(SpecError, match="there is no file"):
        load_values(missing)
    with pytest.raises(SpecError, match="is a folder; name a YAML file"):
        load_values(tmp_path)
    missing.write_bytes(b"a: \xff\n")
    with pytest.raises(SpecError, match=r"none.yaml:1:4: is not UTF-8 text"):
        load_values(missing)
