"""The parts of an operator on Kubernetes: pods, gateways in pods, files for both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from gyrus.aio.clock import Clock, SystemClock
from gyrus.aio.ticks import ticks
from gyrus.backends.kubernetes.backend import KubernetesBackend
from gyrus.backends.kubernetes.programs import ReplicaPrograms
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.cluster.aws.prices.table import packaged_prices
from gyrus.contract import cluster
from gyrus.custom_resource.controller import ObjectController
from gyrus.custom_resource.objects import ApiObjects
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.gate.activator import Activator, TcpAddress
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import PODS, KubernetesObject, Manifest
from gyrus.log_archive.archive import ArchiveError
from gyrus.log_archive.folder import SegmentFolder
from gyrus.log_archive.intake import LogIntake
from gyrus.log_archive.segment import SegmentStore
from gyrus.log_archive.segmented import SegmentedArchive
from gyrus.log_archive.tiered import TieredSegments
from gyrus.objects.errors import ObjectError
from gyrus.objects.location import parse_location
from gyrus.objects.models import resolve_shared_models
from gyrus.objects.opening import open_objects
from gyrus.objects.store import ObjectStore
from gyrus.operator.certificate_renewal import CertificateRenewal
from gyrus.operator.environment_choice import EnvironmentChoice
from gyrus.operator.errors import StartError
from gyrus.operator.file_limit import hold_limits
from gyrus.operator.gateway_address import GatewayAddress
from gyrus.operator.machine_prices import CLUSTER_REMEDY, nothing_attached
from gyrus.operator.planned_nodes import group_prices, node_scaling, node_tasks
from gyrus.operator.platform import OperatorSettings, Platform, Tasks
from gyrus.operator.pod_place import PodPlace
from gyrus.operator.unrouted import UnroutedReplicas
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.packaging.object_files import ObjectFiles
from gyrus.packaging.shared_folder import SharedFiles, SharedFolder
from gyrus.packaging.store import PackageStore
from gyrus.routing.cluster_gateway import ClusterGateway
from gyrus.routing.gateway_pod import gateway_settings, tls_files
from gyrus.routing.settings import TlsAddress
from gyrus.routing.silent_gateways import GatewayPod
from gyrus.server.files import FilesContext, build_files_app
from gyrus.server.listening import ApiListener, listen_in_home_and, listen_on_port
from gyrus.server.monitoring import OperatorMonitor
from gyrus.server.platform import REFUSED_IN_A_CLUSTER
from gyrus.server.serving import serve
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.sql.files import open_files
from gyrus.state.sql.log_segments import open_log_segments
from gyrus.state.store import Store

if TYPE_CHECKING:
    from gyrus.operator.cloudwatch import CloudWatchParts

log = logging.getLogger(__name__)

DAY = 24 * 3600.0
MOVING = 600.0
"""Seconds between two moves of old lines."""


def cluster_platform(
    client: ClusterClient,
    place: PodPlace,
    monitor: OperatorMonitor,
    settings: OperatorSettings,
    board: Board,
) -> Platform:
    """Build the parts of the operator in this pod. Raises StartError."""
    home, clock = settings.home, SystemClock()
    scaling = node_scaling(place.nodes)
    prices = group_prices(scaling, clock)
    files = _shared_files(settings, place)
    packages = PackageStore(
        home.packages,
        home.projects,
        limit=settings.max_package,
        shared=SharedFolder(files, "packages", home.packages) if files else None,
    )
    archives = home.environment_archives
    environments = EnvironmentStore(
        archives, shared=SharedFolder(files, "environments", archives) if files else None
    )
    packages.clean_up()
    environments.clean_up()
    requeue_secret, replicas_secret = place.secret("requeue"), place.secret("replicas")
    pods = KubernetesSettings(
        namespace=place.namespace,
        image=place.runtime_image,
        secret=replicas_secret,
        runtime=RuntimeCode.installed().digest,
        pull_policy=place.pull_policy,
        pull_secrets=place.pull_secrets,
        priority_class=place.priority_class,
        node_cache=place.node_cache,
    )
    tiers = TieredSegments(_log_segments(settings), _objects(place, "logs")) if place.objects else None
    segments = tiers or _log_segments(settings)
    cloudwatch = _cloudwatch(settings, board, clock)
    intake = LogIntake(
        SegmentedArchive(segments),
        settings.log_archive,
        clock,
        export=cloudwatch.shipper if cloudwatch else None,
    )
    board.log_archive = intake.counts
    choice = EnvironmentChoice(packages, environments, image=pods.image, runtime=pods.runtime)
    objects = ApiObjects(client, place.namespace, clock)
    backend = KubernetesBackend(
        client,
        pods,
        ReplicaPrograms(pods, choice),
        clock,
        is_built=environments.has,
        owner=objects.owner,
        intake=intake,
    )
    address = TcpAddress(host=place.address, port=cluster.ACTIVATOR_PORT)
    activator = Activator(board, address, clock, hold_limits(), requeue_secret=requeue_secret)
    gateway = ClusterGateway(
        board,
        TlsAddress(host=cluster.ANY_HOST, port=cluster.XDS_PORT, tls=tls_files(place.tls)),
        gateway_settings(requeue_secret, settings.hosts),
        activator.endpoint,
    )
    served = FilesContext(
        packages=packages,
        environments=environments,
        builds=backend.environments,
        logs=backend.replica_logs,
        open_store=open_objects,
        unrouted=UnroutedReplicas(board, backend, lambda: gateway.complete).wait,
        secret=replicas_secret,
    )
    models = partial(resolve_shared_models, open_store=open_objects)
    service = GatewayAddress(client, place.namespace, clock)

    def gateway_url() -> str:
        return place.gateway_url or service.url

    def deciders(store: Store, events: EventRecorder) -> Tasks:
        controller = ObjectController(
            client=client,
            namespace=place.namespace,
            objects=objects,
            packages=packages,
            models=models,
            store=store,
            board=board,
            events=events,
            clock=clock,
            gateway=gateway_url,
        )
        return {
            "objects": controller.run,
            **node_tasks(scaling, prices, client, store, board, clock),
            **(cloudwatch.publisher(store) if cloudwatch else {}),
        }

    gateway_pods = _gateway_pods(client, place.namespace, clock)
    tasks: dict[str, Callable[[], Awaitable[object]]] = {
        "files server": partial(_serve_files, served, place),
        "unused environments": partial(_remove_unused, environments, clock),
        "certificates": CertificateRenewal(client, place.namespace, clock).run,
        "gateway pods": partial(_follow_gateways, gateway_pods, gateway),
        **(cloudwatch.tasks(client, place.namespace, place.pod, gateway_pods) if cloudwatch else {}),
    }
    if prices:
        tasks["prices"] = prices.run
    if tiers:
        tasks["old logs"] = partial(_move_old_logs, tiers, clock)
    if not place.gateway_url:
        tasks["gateway address"] = service.follow
    return Platform(
        backend=backend,
        gateway=gateway,
        activator=activator,
        packages=packages,
        models=models,
        gateway_url=gateway_url,
        token=place.secret("token"),
        token_place=f"the token of the Secret {cluster.OPERATOR_SECRETS}, or one of gyrus token create",
        proof_of=backend.proof_at,
        stop_refusal=REFUSED_IN_A_CLUSTER,
        containers=True,
        listen=partial(_listen, settings, place),
        load=partial(_load, packages, environments),
        monitor=monitor,
        price_table=prices.table if prices else packaged_prices,
        attached_price=(lambda machine: prices.attached(machine.group)) if prices else nothing_attached,
        shared_costs=scaling.shared_costs if scaling else {},
        price_remedy=CLUSTER_REMEDY,
        tasks=tasks,
        deciders=deciders,
    )


def _cloudwatch(settings: OperatorSettings, board: Board, clock: Clock) -> CloudWatchParts | None:
    """Return the parts for CloudWatch. None if log and metrics are not sent there."""
    if settings.cloudwatch is None:
        return None
    from gyrus.operator.cloudwatch import CloudWatchParts

    return CloudWatchParts.of(settings.cloudwatch, board, clock)


def _log_segments(settings: OperatorSettings) -> SegmentStore:
    """Return the place of the log archive: where the rest of the state is."""
    if settings.store:
        return open_log_segments(settings.store.url, settings.store.leader)
    return SegmentFolder(settings.home.log_archive)


def _shared_files(settings: OperatorSettings, place: PodPlace) -> SharedFiles | None:
    """Return the place of packages and environments that other operators reach. Raises StartError."""
    if place.objects:
        return ObjectFiles(_objects(place, "files"))
    return open_files(settings.store.url, settings.store.leader) if settings.store else None


def _objects(place: PodPlace, part: str) -> ObjectStore:
    """Open a part of the installation's object store. Raises StartError."""
    try:
        return open_objects(parse_location(f"{place.objects.rstrip('/')}/{part}"))
    except ValueError as error:
        raise StartError(f"objects.url: {place.objects} {error}.") from error
    except ObjectError as error:
        raise StartError(str(error)) from error


async def _load(packages: PackageStore, environments: EnvironmentStore) -> None:
    """Learn which files earlier operators have stored. Raises StartError."""
    try:
        await packages.load()
        await environments.load()
    except ObjectError as error:
        raise StartError(str(error)) from error


def _listen(settings: OperatorSettings, place: PodPlace) -> list[ApiListener]:
    """Listen on the home's socket, for commands in the pod, and on the API's port. Raises CannotListen."""
    return listen_in_home_and(
        settings.home.control_socket,
        lambda: listen_on_port(cluster.ANY_HOST, cluster.API_PORT, place.server_tls()),
    )


async def _serve_files(context: FilesContext, place: PodPlace) -> None:
    """Serve packages and environments until cancelled."""
    listener = listen_on_port(cluster.ANY_HOST, cluster.FILES_PORT, place.server_tls())
    await serve(build_files_app(context), [listener], started=asyncio.Event())


async def _remove_unused(environments: EnvironmentStore, clock: Clock) -> None:
    """Remove unused environments, once a day, until cancelled."""
    async for _ in ticks(clock, DAY):
        await environments.sweep(clock.now().timestamp())


async def _move_old_logs(tiers: TieredSegments, clock: Clock) -> None:
    """Move old lines to the object store, every ten minutes, until cancelled."""
    async for _ in ticks(clock, MOVING):
        try:
            await tiers.move_old(clock.now().timestamp())
        except ArchiveError as error:
            log.warning("Old lines of the log archive stay where they are, the next try follows: %s", error)


def _gateway_pods(client: ClusterClient, namespace: str, clock: Clock) -> Reflector:
    labels = f"{cluster.ROLE_LABEL}={cluster.GATEWAY_ROLE}"
    return Reflector(client, Selection(resource=PODS, namespace=namespace, labels=labels), clock)


async def _follow_gateways(pods: Reflector, gateway: ClusterGateway) -> None:
    """Let the gateway know which of its pods exist, until cancelled."""
    with pods.changes.listen() as changes:
        async with asyncio.TaskGroup() as group:
            group.create_task(pods.run(), name="watch of gateway pods")
            await pods.listed()
            while True:
                running = {name: pod for name, pod in pods.objects.items() if not _has_ended(pod)}
                gateway.exist({name: _gateway_pod(pod) for name, pod in running.items()})
                await changes.wait()


def _has_ended(gateway: Manifest) -> bool:
    """Return True if only the record of a pod is left, such as that of an evicted one."""
    return KubernetesObject(gateway).status.get("phase") in ("Succeeded", "Failed")


def _gateway_pod(manifest: Manifest) -> GatewayPod:
    pod = KubernetesObject(manifest)
    address = pod.status.get("podIP")
    return GatewayPod(statistics=f"{address}:{cluster.ADMIN_PORT}" if address else None, ready=pod.ready)
