"""The controller of the objects against the API server's object storage in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.operator import ApiOwner, Cause, Outcome
from gyrus.custom_resource.controller import ObjectController
from gyrus.custom_resource.objects import ApiObjects
from gyrus.kubernetes.resources import APIS, DISRUPTION_BUDGETS, DISRUPTION_BUDGETS_BETA, Manifest
from gyrus.packaging.store import PackageStore
from gyrus.spec.load import check
from gyrus.state.board import Board
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api, Author
from support.api_server import ApiServer, Refusal
from support.aws.models import local_models
from support.recorder import recording

NAMESPACE = "ml"
COMMAND = {"process": {"command": ["serve"]}}
DIGEST = "a" * 64


def manifest(name: str = "text", **spec: Any) -> Manifest:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"kind": "RealtimeAPI", **(spec or COMMAND)},
    }


@dataclass(slots=True)
class Platform:
    """What outlives an operator: the cluster, the store and the clock."""

    folder: Path
    server: ApiServer = field(default_factory=ApiServer)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: VirtualClock = field(default_factory=VirtualClock)
    board: Board = field(default_factory=Board)

    async def api(self, name: str = "text") -> Api:
        found = await self.store.api(name)
        assert found is not None
        return found

    async def deploy(self, name: str = "iris", **fields: Any) -> Api:
        """Deploy as ``gyrus deploy`` does."""
        specs = check([{"name": name, **COMMAND, **fields}], "apis")
        (change,) = await self.store.deploy(specs, None, self.clock.now(), Author("token ci"))
        self.board.intent_signals.notify(name)
        return change.api

    def object(self, name: str = "text") -> Manifest:
        found = self.server.find(APIS, name, NAMESPACE)
        assert found is not None
        return found

    def condition(self, type: str, name: str = "text") -> tuple[str, str, str]:
        conditions = self.object(name)["status"]["conditions"]
        (found,) = [each for each in conditions if each["type"] == type]
        return found["status"], found["reason"], found["message"]

    def apply(self, document: Manifest) -> None:
        self.server.put(APIS, document)

    async def events(self, name: str = "text") -> list[tuple[str, str]]:
        return [(event.reason, event.message) for event in await self.store.events(name)]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


@asynccontextmanager
async def operator(platform: Platform) -> AsyncGenerator[ObjectController]:
    """One operator, from its start to its end."""
    packages = PackageStore(platform.folder / "packages", platform.folder / "projects")
    packages.clean_up()
    platform.board = Board()
    async with (
        platform.server.client() as client,
        recording(platform.store, platform.board, platform.clock) as events,
    ):
        controller = ObjectController(
            client=client,
            namespace=NAMESPACE,
            objects=ApiObjects(client, NAMESPACE, platform.clock),
            packages=packages,
            models=local_models,
            store=platform.store,
            board=platform.board,
            events=events,
            clock=platform.clock,
            gateway=lambda: "http://203.0.113.7",
        )
        running = asyncio.create_task(controller.run(), name="objects")
        try:
            await platform.clock.advance(10)
            yield controller
            await events.flushed()
        finally:
            running.cancel()
            await asyncio.wait((running,))


class TestManifests:
    async def test_a_manifest_is_deployed_and_reported(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            api = await platform.api()
            assert (api.owner, api.target.started_by) == (ApiOwner.MANIFEST, "manifest text")
            assert platform.condition("Accepted") == ("True", "Accepted", "The specification is deployed")
            status = platform.object()["status"]
            assert (status["status"], status["revision"], status["owner"]) == ("creating", 1, "manifest")
            assert (status["endpoint"], status["observedGeneration"]) == ("http://203.0.113.7/text", 1)
            budget = platform.server.find(DISRUPTION_BUDGETS, "gyrus-api-text", NAMESPACE)
            assert budget is not None
            assert budget["spec"]["minAvailable"] == 1
        assert await platform.events() == [("Deployed", "Revision 1 deployed by its manifest")]

    async def test_a_change_is_a_revision(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            platform.apply(manifest(process={"command": ["serve", "--fast"]}))
            await platform.clock.settle()
            assert (await platform.api()).target.revision == 2
            assert platform.object()["status"]["observedGeneration"] == 2
            platform.apply({**manifest(process={"command": ["serve", "--fast"]}), "status": {}})
            await platform.clock.advance(60)
            assert (await platform.api()).target.number == 2

    async def test_a_fault_leaves_what_serves(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            platform.apply(manifest(process={"comand": ["serve"]}))
            await platform.clock.settle()
            status, reason, message = platform.condition("Accepted")
            assert (status, reason) == ("False", "InvalidSpec")
            assert 'spec.process.comand: unknown field; did you mean "command"?' in message
            assert platform.condition("Stalled")[0] == "True"
            assert (await platform.api()).target.revision == 1
        assert [reason for reason, _ in await platform.events()] == ["Deployed", "InvalidSpec"]

    async def test_the_end_of_an_object_deletes_its_api(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            platform.server.remove(APIS, "text", NAMESPACE)
            await platform.clock.settle()
            assert (await platform.api()).deleting
            assert not platform.server.objects, "the budget ends with its owner"

    async def test_an_object_that_comes_back_waits_for_the_end_of_its_api(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            platform.server.remove(APIS, "text", NAMESPACE)
            await platform.clock.settle()
            platform.apply(manifest())
            await platform.clock.settle()
            assert platform.condition("Accepted")[:2] == ("False", "EarlierApiDeleting")
            await platform.store.remove("text")
            await platform.clock.advance(10)
            assert platform.condition("Accepted")[0] == "True"
            assert not (await platform.api()).deleting

    async def test_a_package_that_was_not_uploaded(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest(handler={"path": "handler.py"}, package={"sha256": DIGEST}))
            await platform.clock.settle()
            assert platform.condition("Accepted") == (
                "False",
                "PackageMissing",
                f"spec.package: the package {DIGEST} has not been uploaded, or was removed; upload it with "
                "`gyrus package push`, or name its url",
            )
            assert platform.object()["status"]["status"] == "refused"
            assert await platform.store.api("text") is None

    async def test_an_api_of_the_cli_stays_its_own(self, platform: Platform) -> None:
        async with operator(platform):
            await platform.deploy("text")
            await platform.clock.settle()
            platform.apply(manifest())
            await platform.clock.settle()
            assert platform.condition("Accepted") == (
                "False",
                "OtherOwner",
                "`gyrus deploy` deployed text. Delete that API first (gyrus delete text), or give the "
                "manifest another name.",
            )
            assert (await platform.api()).owner is ApiOwner.CLI

    async def test_a_conflict_in_the_store_is_tried_again(self, platform: Platform) -> None:
        """Another API has the endpoint, and is deleted later."""
        async with operator(platform):
            await platform.deploy("iris", networking={"endpoint": "text"})
            platform.apply(manifest())
            await platform.clock.settle()
            status, reason, message = platform.condition("Accepted")
            assert (status, reason) == ("False", "Refused")
            assert message.startswith("text cannot have the endpoint /text: iris has it.")
            await platform.store.mark_deleting("iris", platform.clock.now())
            await platform.store.remove("iris")
            await platform.clock.advance(20)
            assert platform.condition("Accepted")[0] == "True"


class TestMirrors:
    async def test_an_api_of_the_cli_has_an_object(self, platform: Platform) -> None:
        async with operator(platform):
            await platform.deploy()
            await platform.clock.settle()
            mirror = platform.object("iris")
            assert mirror["metadata"]["labels"]["gyrus.dev/owner"] == "cli"
            assert (mirror["spec"], mirror["status"]["owner"]) == ({"kind": "RealtimeAPI"}, "cli")
            assert platform.server.requests[0] == f"POST /apis/gyrus.dev/v1/namespaces/{NAMESPACE}/apis"

    async def test_a_deleted_mirror_comes_back(self, platform: Platform) -> None:
        async with operator(platform):
            await platform.deploy()
            await platform.clock.settle()
            first = platform.object("iris")["metadata"]["uid"]
            platform.server.remove(APIS, "iris", NAMESPACE)
            await platform.clock.settle()
            assert platform.object("iris")["metadata"]["uid"] != first
            budget = platform.server.find(DISRUPTION_BUDGETS, "gyrus-api-iris", NAMESPACE)
            assert budget is not None
            (owner,) = budget["metadata"]["ownerReferences"]
            assert owner["uid"] == platform.object("iris")["metadata"]["uid"]
            assert not (await platform.api("iris")).deleting

    async def test_the_mirror_of_a_deleted_api_goes(self, platform: Platform) -> None:
        async with operator(platform):
            await platform.deploy()
            await platform.clock.settle()
            await platform.store.mark_deleting("iris", platform.clock.now())
            await platform.store.remove("iris")
            platform.board.intent_signals.notify("iris")
            await platform.clock.settle()
            assert not platform.server.objects

    async def test_a_mirror_is_reported_as_its_rollout_goes_on(self, platform: Platform) -> None:
        async with operator(platform):
            api = await platform.deploy()
            await platform.clock.settle()
            assert platform.condition("Reconciling", "iris")[0] == "True"
            await platform.store.finish(api, Outcome.FAILED, "it exited with code 1.", platform.clock.now())
            platform.board.intent_signals.notify("iris")
            await platform.clock.settle()
            assert platform.condition("Stalled", "iris")[:2] == ("True", "RolloutFailed")
            assert (await platform.api("iris")).target.cause is Cause.DEPLOY


class TestTheCluster:
    async def test_a_mirror_that_another_one_creates_first_is_taken(
        self, platform: Platform, caplog: pytest.LogCaptureFixture
    ) -> None:
        exists = Refusal(409, "AlreadyExists", 'apis "iris" already exists')
        platform.server.refuse("POST", APIS, exists)
        async with operator(platform):
            await platform.deploy()
            await platform.clock.advance(20)
            assert platform.object("iris")["spec"] == {"kind": "RealtimeAPI"}
        assert not caplog.records

    async def test_a_deletion_that_meets_a_conflict_is_looked_at_again(self, platform: Platform) -> None:
        """The controller deletes the object that it saw, not a later one of the same name."""
        async with operator(platform):
            await platform.deploy()
            await platform.clock.settle()
            platform.server.refuse("DELETE", APIS, Refusal(409, "Conflict", "the UID does not match"))
            await platform.store.mark_deleting("iris", platform.clock.now())
            await platform.store.remove("iris")
            platform.board.intent_signals.notify("iris")
            await platform.clock.advance(20)
            assert not platform.server.find(APIS, "iris", NAMESPACE)

    @pytest.mark.parametrize(
        "refusal",
        [
            Refusal(
                403, "Forbidden", 'User "u" cannot patch resource "apis/status" in API group "gyrus.dev"'
            ),
            Refusal(409, "Conflict", "the object has been modified"),
            Refusal(429, "TooManyRequests", "too many requests"),
            Refusal(500, "InternalError", "etcdserver: request timed out"),
        ],
        ids=lambda refusal: str(refusal.code),
    )
    async def test_a_status_that_cannot_be_written_is_written_later(
        self, refusal: Refusal, platform: Platform
    ) -> None:
        platform.server.refuse("PATCH", APIS, refusal, refusal)
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            assert "status" not in platform.object()
            assert (await platform.api()).target.number == 1
            await platform.clock.advance(20)
            assert platform.condition("Accepted")[0] == "True"
            assert (await platform.api()).target.number == 1

    async def test_a_watch_that_ends_misses_nothing(self, platform: Platform) -> None:
        async with operator(platform):
            platform.server.end_watches()
            platform.apply(manifest())
            await platform.clock.advance(20)
            assert platform.condition("Accepted")[0] == "True"

    async def test_a_forgotten_version_is_listed_again(self, platform: Platform) -> None:
        """Changes and deletions that no watch can show any more are found by comparison."""
        async with operator(platform):
            platform.apply(manifest())
            platform.apply(manifest("gone"))
            await platform.clock.settle()
            platform.server.end_watches()
            platform.server.remove(APIS, "gone", NAMESPACE)
            platform.apply(manifest(process={"command": ["serve", "--fast"]}))
            platform.server.forget_history()
            await platform.clock.advance(20)
            assert (await platform.api()).target.revision == 2
            assert (await platform.api("gone")).deleting

    async def test_an_old_cluster_has_budgets_of_the_beta_version(self, platform: Platform) -> None:
        platform.server.served = (APIS, DISRUPTION_BUDGETS_BETA)
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            budget = platform.server.find(DISRUPTION_BUDGETS_BETA, "gyrus-api-text", NAMESPACE)
            assert budget is not None
            assert budget["apiVersion"] == "policy/v1beta1"


class TestTheNextOperator:
    async def test_changes_nothing_of_what_is_deployed(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.deploy()
            await platform.clock.settle()
        before, asked = dict(platform.server.objects), len(platform.server.requests)
        async with operator(platform):
            await platform.clock.advance(60)
        assert platform.server.objects == before
        assert platform.server.requests[asked:] == []
        assert (await platform.api()).target.number == 1

    async def test_does_what_was_asked_while_there_was_none(self, platform: Platform) -> None:
        async with operator(platform):
            for name in ("changed", "deleted"):
                platform.apply(manifest(name))
            await platform.deploy("mirrored")
            await platform.clock.settle()
        platform.server.remove(APIS, "deleted", NAMESPACE)
        platform.server.remove(APIS, "mirrored", NAMESPACE)
        platform.apply(manifest("changed", process={"command": ["serve", "--fast"]}))
        platform.apply(manifest("new"))
        platform.server.forget_history()
        async with operator(platform):
            await platform.clock.settle()
            assert (await platform.api("changed")).target.revision == 2
            assert (await platform.api("new")).owner is ApiOwner.MANIFEST
            assert (await platform.api("deleted")).deleting
            assert not (await platform.api("mirrored")).deleting
            assert platform.object("mirrored")["metadata"]["labels"]["gyrus.dev/owner"] == "cli"

    async def test_does_not_deploy_again_what_failed(self, platform: Platform) -> None:
        async with operator(platform):
            platform.apply(manifest())
            await platform.clock.settle()
            api = await platform.api()
            await platform.store.finish(api, Outcome.FAILED, "it exited with code 1.", platform.clock.now())
        async with operator(platform):
            await platform.clock.advance(60)
            assert (await platform.api()).target.number == 1
            assert platform.condition("Stalled")[:2] == ("True", "RolloutFailed")
