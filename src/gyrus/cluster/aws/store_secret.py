"""The Secret with the URL of the operators' database."""

from __future__ import annotations

import base64

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.installation import PASSWORD_VARIABLE, STORE_KEY, STORE_SECRET, store_url
from gyrus.cluster.errors import MissingStore
from gyrus.cluster.ports import ClusterWriter
from gyrus.kubernetes.resources import NAMESPACES, SECRETS


async def create_store_secret(cluster: ClusterWriter, spec: ClusterSpec, password: str | None) -> None:
    """Create the Secret unless it exists, with its namespace. Raises MissingStore without a password."""
    namespace = spec.gyrus.namespace
    if await cluster.find(SECRETS, STORE_SECRET, namespace):
        return
    if not password:
        raise MissingStore(
            f"The password of the database of gyrus.store is not known: {PASSWORD_VARIABLE} is not set.",
            remedy=f"Set it in the environment, and repeat the command: it continues. Or create the Secret "
            f"{STORE_SECRET} in the namespace {namespace} yourself, with the URL at the key {STORE_KEY}",
        )
    if not await cluster.find(NAMESPACES, namespace):
        await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    url = store_url(spec.gyrus.store, password)
    await cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": STORE_SECRET, "namespace": namespace},
            "data": {STORE_KEY: base64.b64encode(url.encode()).decode()},
        }
    )
