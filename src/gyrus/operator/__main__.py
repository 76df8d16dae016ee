"""``python -m gyrus.operator``: the operator's process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, TypeVar, cast

from gyrus.contract.home import Home
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.operator.errors import LeadershipLost, StandbyStopped, StartError
from gyrus.operator.home_folder import UMASK, make_folders
from gyrus.operator.home_lock import HomeLock
from gyrus.operator.leadership import EXIT_CODE, find, lead
from gyrus.operator.logs import set_up_logging
from gyrus.operator.readiness import ReadyNotification

if TYPE_CHECKING:
    from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
    from gyrus.log_archive.archive import ArchiveLimits
    from gyrus.operator.platform import OperatorSettings, SharedStore
    from gyrus.operator.stopping import StopRequest
    from gyrus.server.monitoring import StoreCheck

T = TypeVar("T")

log = logging.getLogger("gyrus.operator")


def main() -> int:
    os.umask(UMASK)  # before the first file
    arguments = _parser().parse_args()
    home = Home(arguments.home.absolute())
    ready_notification = ReadyNotification(home, arguments.ready_fd)
    try:
        if arguments.cluster:
            asyncio.run(_run_in_pod(arguments, home, ready_notification))
        else:
            body = _run(arguments, home, ready_notification)
            asyncio.run(lead(HomeLock(home), body))
    except BaseException as error:
        if find(StandbyStopped, error):
            return 0
        message, code = _explain(error, home)
        ready_notification.failed(message)
        if code is None:
            raise
        sys.stderr.write(f"gyrus: {message}\n")
        return code
    return 0


def _explain(error: BaseException, home: Home) -> tuple[str, int | None]:
    """Return a message for the user and the exit code. The code is None if the error is a defect."""
    if lost := find(LeadershipLost, error):  # first: the loss may have caused a StartError too
        return f"The operator stopped: {lost}.", EXIT_CODE
    if refused := find(StartError, error):
        return str(refused), 1
    log.error("the operator has failed", exc_info=error)
    cause = find(OSError, error) or _innermost(error)
    why = str(cause) or type(cause).__name__
    return f"The operator failed while it started: {why}. See {home.operator_log}.", None


def _innermost(error: BaseException) -> BaseException:
    """Return the first error of a group of groups; else the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = cast(BaseExceptionGroup[BaseException], error).exceptions[0]
    return error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gyrus.operator", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--gateway-port", type=int, default=8080)
    parser.add_argument("--operator-port", type=int, help="serve the operator's API on this port too")
    parser.add_argument("--new-database", action="store_true", help="begin with an empty database")
    parser.add_argument("--overcommit", action="store_true", help="do not count replicas' CPU and memory")
    parser.add_argument("--max-package", type=int, default=LARGEST_PACKAGE, help="bytes of a package")
    parser.add_argument("--cluster", action="store_true", help="run in a pod that `cluster install` created")
    parser.add_argument(
        "--store-file", type=Path, help="a file with the URL of the database that all operators reach"
    )
    parser.add_argument("--log-archive-per-api", default="64Mi", help="most output kept of one API")
    parser.add_argument("--log-archive-total", default="1Gi", help="most output kept of all APIs")
    parser.add_argument("--log-archive-age", default="168h", help="how long output is kept")
    parser.add_argument("--cloudwatch-cluster", help="send log and metrics to CloudWatch under this name")
    parser.add_argument("--cloudwatch-region", help="the region of CloudWatch")
    parser.add_argument("--cloudwatch-log-group", default="", help="the log group (default: /gyrus/NAME)")
    parser.add_argument("--price", type=float, help="US dollars per hour of every machine")
    parser.add_argument(
        "--shared-cost", action="append", default=[], help="NAME=PRICE: US dollars per hour of a shared part"
    )
    parser.add_argument("--host", action="append", default=[], help="another name of the gateway")
    parser.add_argument("--ready-fd", type=int, help="file descriptor to notify when the operator serves")
    parser.add_argument("--foreground", action="store_true", help="log to the terminal too")
    parser.add_argument(
        "--clean", action="store_true", help="stop orphaned replicas and the gateway, then exit"
    )
    return parser


async def _run(arguments: argparse.Namespace, home: Home, ready_notification: ReadyNotification) -> None:
    set_up_logging(home.operator_log, foreground=arguments.foreground)
    # Imported late, since they are slow: a second operator must fail fast.
    from gyrus.operator.local_platform import local_platform
    from gyrus.operator.operator import clean, operate

    if arguments.clean:
        await clean(home)
    else:
        await operate(_settings(arguments, home), local_platform, ready_notification, _ending())


async def _run_in_pod(
    arguments: argparse.Namespace, home: Home, ready_notification: ReadyNotification
) -> None:
    """Run the operator of a cluster, once its pod leads."""
    make_folders(home, shared=False)
    set_up_logging(home.operator_log, foreground=True)
    from gyrus.kubernetes.client import ClusterClient
    from gyrus.kubernetes.configuration import in_cluster
    from gyrus.kubernetes.errors import NoConfiguration
    from gyrus.operator.cluster_platform import cluster_platform
    from gyrus.operator.lease_lock import LeaseLock
    from gyrus.operator.operator import operate
    from gyrus.operator.pod_place import PodPlace
    from gyrus.operator.standby import Standby
    from gyrus.server.monitoring import OperatorMonitor

    place = PodPlace.of(os.environ)
    try:
        connection = in_cluster()
    except NoConfiguration as error:
        raise StartError(f"{error}.") from error
    settings, ending = _settings(arguments, home), _ending()
    async with ClusterClient(connection) as client, _store_check(settings) as check:
        monitor = OperatorMonitor(check)
        platform_of = partial(cluster_platform, client, place, monitor)
        body = operate(settings, platform_of, ready_notification, ending)
        lease = LeaseLock(client, place.namespace, place.pod)
        await lead(Standby(lease, client, place, ending, monitor), body)


@asynccontextmanager
async def _store_check(settings: OperatorSettings) -> AsyncGenerator[StoreCheck | None]:
    """Yield the check of the database that several operators reach. Raises StartError."""
    from gyrus.state.errors import StateError
    from gyrus.state.sql.store_check import SqlStoreCheck

    if settings.store is None:
        yield None
        return
    try:
        check = SqlStoreCheck(settings.store.url)
    except StateError as error:
        raise StartError(str(error)) from error
    try:
        yield check
    finally:
        await check.close()


def _ending() -> StopRequest:
    """Let signals request the end of this process."""
    from gyrus.operator.stopping import StopRequest

    ending = StopRequest()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.leave)
    loop.add_signal_handler(signal.SIGINT, ending.end_everything)
    return ending


def _settings(arguments: argparse.Namespace, home: Home) -> OperatorSettings:
    from gyrus.operator.platform import OperatorSettings

    return OperatorSettings(
        home=home,
        operator_port=arguments.operator_port,
        gateway_port=arguments.gateway_port,
        overcommit=arguments.overcommit,
        max_package=arguments.max_package,
        hosts=tuple(arguments.host),
        new_database=arguments.new_database,
        store=_shared_store(arguments.store_file),
        log_archive=_archive_limits(arguments),
        cloudwatch=_cloudwatch(arguments),
        price=arguments.price,
        shared_costs=_shared_costs(arguments.shared_cost),
    )


def _cloudwatch(arguments: argparse.Namespace) -> CloudWatchTarget | None:
    """Return the place of log and metrics in CloudWatch. Raises StartError."""
    from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget

    cluster, region = arguments.cloudwatch_cluster, arguments.cloudwatch_region
    if not cluster and not region:
        return None
    if not cluster or not region:
        missing = "cluster" if region else "region"
        raise StartError(
            f"--cloudwatch-{missing} is missing: CloudWatch needs a cluster's name and a region. Check "
            "cloudwatch of the values file."
        )
    return CloudWatchTarget.of(cluster, region, arguments.cloudwatch_log_group)


def _shared_costs(given: Sequence[str]) -> dict[str, float]:
    """Return the prices of shared parts. Raises StartError."""
    costs: dict[str, float] = {}
    for text in given:
        name, _, price = text.rpartition("=")
        try:
            costs[name] = float(price)
        except ValueError:
            costs[name] = -1.0
        if not name or not 0 <= costs[name] < float("inf"):
            raise StartError(f"--shared-cost {text} is not NAME=PRICE; write for example EKS=0.10.")
    return costs


def _archive_limits(arguments: argparse.Namespace) -> ArchiveLimits:
    """Return the bounds of the log archive. Raises StartError."""
    from gyrus.log_archive.archive import ArchiveLimits
    from gyrus.spec.quantities import parse_duration, parse_memory

    def parsed(parse: Callable[[str], T], name: str) -> T:
        value: str = getattr(arguments, f"log_archive_{name}")
        try:
            return parse(value)
        except ValueError as error:
            raise StartError(f"operator.log_archive.{name}: {value} {error}.") from error

    return ArchiveLimits(
        per_api=parsed(parse_memory, "per_api"),
        total=parsed(parse_memory, "total"),
        age=parsed(parse_duration, "age").total_seconds(),
    )


def _shared_store(file: Path | None) -> SharedStore | None:
    """Return the database that the file names. Raises StartError."""
    from gyrus.operator.platform import SharedStore

    if file is None:
        return None
    try:
        url = file.read_text().strip()
    except OSError as error:
        raise StartError(
            f"The store's URL cannot be read ({file}: {error.strerror}). Check operator.store of the values "
            "file, and the key of the Secret that it names."
        ) from error
    return SharedStore(url=url, leader=f"{os.uname().nodename}/{token_hex(8)}")


if __name__ == "__main__":
    sys.exit(main())
