"""Envoy's bootstrap: its node id, its admin socket, and the operator's address. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from gyrus.routing.resources import bodies, file_secrets
from gyrus.routing.resources.clusters import ads, circuit_breakers, http_options
from gyrus.routing.resources.endpoints import UNIX
from gyrus.routing.resources.file_secrets import FileSecret
from gyrus.routing.resources.kinds import Json, extension
from gyrus.routing.resources.overload import overload_manager
from gyrus.routing.settings import (
    ASKS_EVERY,
    AdsAddress,
    GatewaySettings,
    TlsAddress,
    TlsFiles,
    UnixAddress,
)

XDS_CLUSTER = "gyrus.xds"
"""The cluster of the operator. Its dot distinguishes it from pools, whose names have none."""

FEATURES = {
    # Requests that wait for a connection count as requests in flight. Otherwise a burst to replicas without
    # connections is divided by chance, and overfills the queue of one replica beside free places of another.
    "envoy.reloadable_features.least_request_lb_count_pending_requests": True,
    # The expression for a hundred origins is larger than the default of 100. The gateway itself writes all
    # expressions, from checked texts.
    "re2.max_program_size.error_level": 100_000,
}
"""Values of Envoy's runtime that differ from the defaults."""

_UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


NODE_CLUSTER = "gyrus"
"""The name that each Envoy reports as its cluster of gateways. Load reports need one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyFiles:
    """The paths of one Envoy's files."""

    admin: Path
    bodies: Path
    """The socket of its listener for long bodies."""
    pressure: Path
    """The file with the share of its connections in use."""


def bootstrap(
    node: str,
    files: EnvoyFiles,
    ads_at: AdsAddress,
    settings: GatewaySettings,
    tls: TlsFiles | None = None,
    *,
    reports: bool = False,
) -> Json:
    """Build the bootstrap. It is the same for the same home: an Envoy with another bootstrap is replaced.

    ``tls``: the files that Envoy shows to the operator; required if ``ads_at`` has TLS. Then the resources of
    :func:`tls_secrets` must be in their files. ``reports``: True to report the load of its clusters to the
    operator.
    """
    reporting = {"cluster_manager": {"load_stats_config": _load_reports()}} if reports else {}
    own = f"{UNIX}{files.bodies}"
    return {
        "node": {"id": node, "cluster": NODE_CLUSTER},
        "admin": {
            "address": {"pipe": {"path": str(files.admin), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "dynamic_resources": {"ads_config": _ads(), "cds_config": ads(), "lds_config": ads()},
        "static_resources": {
            "clusters": [
                _xds(ads_at, tls_secrets(files, tls) if tls else None),
                *bodies.clusters(settings, own),
            ],
        },
        "overload_manager": overload_manager(settings, files.pressure),
        "layered_runtime": {"layers": [{"name": "gyrus", "static_layer": FEATURES}]},
        # Saves the memory of statistics of clusters without requests.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        **reporting,
    }


def _load_reports() -> Json:
    return {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER}}],
    }


def _ads() -> Json:
    """Build the source of configuration. Envoy reconnects within 0.5 s; its default is up to 10 s."""
    retry = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.5s"}}
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": retry}}],
    }


def _xds(ads_at: AdsAddress, secrets: tuple[FileSecret, FileSecret] | None) -> Json:
    endpoint = {"endpoint": {"address": _address(ads_at)}}
    name = ads_at.host if isinstance(ads_at, TlsAddress) and not _is_ip(ads_at.host) else None
    secured = {"transport_socket": _tls(secrets, name)} if secrets else {}
    return {
        "name": XDS_CLUSTER,
        "type": "STRICT_DNS" if name else "STATIC",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "circuit_breakers": circuit_breakers(),
        "typed_extension_protocol_options": http_options(
            "http2", idle=None, asks_every=ASKS_EVERY if secrets else None
        ),
        "load_assignment": {"cluster_name": XDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **secured,
    }


def _address(ads_at: AdsAddress) -> Json:
    if isinstance(ads_at, UnixAddress):
        return {"pipe": {"path": str(ads_at.path)}}
    return {"socket_address": {"address": ads_at.host, "port_value": ads_at.port}}


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def tls_secrets(files: EnvoyFiles, tls: TlsFiles) -> tuple[FileSecret, FileSecret]:
    """Return the resources with Envoy's own certificate and with the operator's authority."""
    folder = files.admin.parent
    return (
        file_secrets.certificate("gyrus.own-certificate", folder, tls.certificate, tls.key),
        file_secrets.authority("gyrus.operator-authority", folder, tls.authority),
    )


def _tls(secrets: tuple[FileSecret, FileSecret], name: str | None) -> Json:
    """Build the transport. ``name``: the DNS name that the operator's certificate must have, if known."""
    own, authority = secrets
    matcher = {"san_type": "DNS", "matcher": {"exact": name}}
    named: Json = {"match_typed_subject_alt_names": [matcher]} if name else {}
    context: Json = {
        "tls_certificate_sds_secret_configs": [own.reference],
        "combined_validation_context": {
            "default_validation_context": named,
            "validation_context_sds_secret_config": authority.reference,
        },
        "alpn_protocols": ["h2"],
    }
    indication: Json = {"sni": name} if name else {}
    return extension("envoy.transport_sockets.tls", _UPSTREAM_TLS, common_tls_context=context, **indication)
