"""The connection to a cluster: from inside it by the service account, from outside by a kubeconfig."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import msgspec
import yaml
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from gyrus.kubernetes.credentials import UserCredentials
from gyrus.kubernetes.errors import NoConfiguration

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_KUBECONFIG = "~/.kube/config"
TIMEOUT = httpx2.Timeout(10.0)
"""Seconds for each step of a request: connect, send, read. Watches and logs set their own."""


@dataclass(frozen=True, slots=True)
class ClusterConnection:
    """An HTTP client that knows the cluster's address, authority and credentials."""

    http: httpx2.AsyncClient
    address: str
    """The URL of the cluster's API."""
    context: str
    """The name of the kubeconfig's context; ``in-cluster`` for a service account."""
    namespace: str
    """The default namespace of the context, or the pod's own."""


def in_cluster() -> ClusterConnection:
    """Return a connection by this pod's service account. Raises NoConfiguration."""
    try:
        config = KubeConfig.from_service_account(SERVICE_ACCOUNT)
    except (ConfigError, KeyError, OSError) as error:
        raise NoConfiguration(
            f"This process does not run in a pod with a service account ({error})"
        ) from error
    return _connect(config.get(config.current_context), "in-cluster")


def from_kubeconfig(context: str | None = None, path: Path | None = None) -> ClusterConnection:
    """Return a connection by a kubeconfig.

    ``context``: None means the current one. ``path``: None means that of ``KUBECONFIG``, else
    ``~/.kube/config``.

    Raises NoConfiguration.
    """
    file = path or kubeconfig_path()
    try:
        config = KubeConfig.from_file(file)
    except ConfigError as error:
        raise NoConfiguration(
            f"There is no kubeconfig at {file}. Set KUBECONFIG to the path of one, or create it as your "
            "cluster's provider describes"
        ) from error
    except AttributeError as error:  # lightkube reads anything but a mapping like this
        raise NoConfiguration(f"{file} is not a kubeconfig: it is empty, or no mapping") from error
    except (OSError, yaml.YAMLError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise NoConfiguration(f"{file} is not a readable kubeconfig: {_one_line(error)}") from error
    chosen = context or config.current_context
    if not chosen:
        raise NoConfiguration(f"{file} has no current context; choose one with --context: {_names(config)}")
    if chosen not in config.contexts:
        raise NoConfiguration(f"{file} has no context named {chosen}; it has {_names(config)}")
    if fault := _fault_of(config, chosen):
        raise NoConfiguration(f"The context {chosen} of {file} cannot be used: {fault}")
    try:
        return _connect(config.get(chosen), chosen)
    except (ConfigError, OSError, ssl.SSLError, ValueError, KeyError) as error:
        raise NoConfiguration(f"The context {chosen} of {file} cannot be used: {_one_line(error)}") from error


def kubeconfig_path() -> Path:
    """Return the path of the kubeconfig to use. Only the first file of a list in ``KUBECONFIG`` counts."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named or DEFAULT_KUBECONFIG).expanduser()


def _fault_of(config: KubeConfig, context: str) -> str:
    """Return why a context cannot be used, and what to do. Returns "" if nothing is known against it."""
    named = config.contexts[context]
    if named.cluster not in config.clusters:
        return f"it names the cluster {named.cluster}, which the file lacks. Add it, or correct the name"
    if named.user and named.user not in config.users:
        return f"it names the user {named.user}, which the file lacks. Add it, or correct the name"
    found = config.get(context)
    assert found is not None
    if urlsplit(found.cluster.server).scheme not in ("https", "http"):
        return f"{found.cluster.server} is not the URL of a server. Write https://HOST:PORT"
    user = found.user or User()
    if user.auth_provider:  # pyright: ignore[reportUnknownMemberType] -- lightkube's type
        return "gyrus does not know its auth-provider. Use a user with exec, a token or a certificate"
    files = (found.cluster.certificate_auth, user.client_cert, user.client_key, user.token_file)
    for file in filter(None, files):
        if not Path(found.abs_file(file)).is_file():
            return f"there is no file {found.abs_file(file)}. Create it, or correct its path"
    return ""


def _connect(config: SingleConfig | None, context: str) -> ClusterConnection:
    assert config is not None
    user = _usable(config.user)
    config = config._replace(user=user)
    http = AsyncClient(config, ConnectionParams(timeout=TIMEOUT))
    if http.auth is not None:
        http.auth = UserCredentials(http.auth, user, context)
    return ClusterConnection(
        http=http,
        address=config.cluster.server,
        context=context,
        namespace=config.namespace,
    )


def _usable(user: User | None) -> User:
    """Return the user as lightkube accepts it. It knows no anonymous user, and no ``v1`` of exec plugins."""
    if user is None:
        return User()
    if user.exec and user.exec.apiVersion == "client.authentication.k8s.io/v1":
        # The two versions differ in the input of the plugin, which is empty here, and not in its answer.
        plugin = msgspec.structs.replace(user.exec, apiVersion="client.authentication.k8s.io/v1beta1")
        return msgspec.structs.replace(user, exec=plugin)
    return user


def _names(config: KubeConfig) -> str:
    return ", ".join(sorted(config.contexts)) or "none"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
