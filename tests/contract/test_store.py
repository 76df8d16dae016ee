"""What every store does, whatever it keeps its records in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gyrus.contract.operator import ApiOwner, Cause, Outcome
from gyrus.contract.replica import StartKind
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.errors import (
    Conflict,
    LeaderReplaced,
    StaleVersion,
    UnknownApi,
    UnknownPackage,
    UnknownRevision,
    UnknownToken,
)
from gyrus.state.records import (
    Api,
    Author,
    Event,
    Package,
    ScalingMemory,
    StartupTime,
    StoredCosts,
    Token,
)
from gyrus.state.sql.store import open_store
from gyrus.state.store import KEPT_STARTS, Store

START = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
DIGEST = "a" * 64


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spec(name: str = "iris", **fields: Any) -> RealtimeSpec:
    return RealtimeSpec.model_validate({"name": name, "handler": {"path": "handler.py"}, **fields})


def changed(number: int, name: str = "iris", **fields: Any) -> RealtimeSpec:
    """A specification that differs from every other number's."""
    return spec(name, env={"NUMBER": str(number)}, **fields)


async def deploy(store: Store, *specs: RealtimeSpec, package: str | None = None, seconds: float = 0) -> Api:
    """Deploy, and return the last of them."""
    return (await store.deploy(specs, package, at(seconds)))[-1].api


async def go_live(store: Store, *specs: RealtimeSpec) -> Api:
    """Deploy each, one after the other, to the end of its rollout. Returns the last."""
    for each in specs:
        await store.finish(await deploy(store, each), Outcome.DONE, "", at(1))
    return await get(store, specs[-1].name)


async def get(store: Store, name: str = "iris") -> Api:
    api = await store.api(name)
    assert api is not None
    return api


async def outcomes(store: Store, name: str = "iris") -> list[tuple[int, int, Outcome]]:
    """(generation, revision, outcome) of its rollouts, oldest first."""
    rollouts = reversed(await store.rollouts(name))
    return [(r.generation.number, r.generation.revision, r.outcome) for r in rollouts]


def event(api: str, number: int, message: str = "") -> Event:
    return Event(
        api=api, time=at(number), type="normal", reason=f"Number{number}", message=message, replica="iris-1-a"
    )


def without_ids(events: Iterable[Event]) -> list[Event]:
    return [replace(event, id=None) for event in events]


class TestDeploy:
    async def test_a_new_api_begins_its_first_rollout(self, store: Store) -> None:
        wanted = spec(autoscaling={"init_replicas": 3})
        (change,) = await store.deploy([wanted], None, START)
        assert change.changed
        assert change.api == await get(store)
        assert change.api.replicas == 3
        assert change.api.live is None
        assert change.api.outcome is Outcome.PROGRESSING
        assert change.api.target.cause is Cause.DEPLOY
        assert change.api.created_at == change.api.target.started_at == START
        assert await outcomes(store) == [(1, 1, Outcome.PROGRESSING)]
        (revision,) = await store.revisions("iris")
        assert (revision.number, revision.spec, revision.package) == (1, wanted, None)
        assert revision.digest == wanted.digest(None)

    async def test_the_same_again_changes_nothing(self, store: Store) -> None:
        first = await deploy(store, spec())
        (again,) = await store.deploy([spec()], None, at(5))
        assert not again.changed
        assert again.api == first
        live = await store.finish(first, Outcome.DONE, "", at(6))
        (again,) = await store.deploy([spec()], None, at(7))
        assert (again.changed, again.api) == (False, live)

    async def test_another_specification_is_a_revision_and_supersedes(self, store: Store) -> None:
        await deploy(store, spec())
        api = await deploy(store, changed(2), seconds=5)
        assert (api.target.revision, api.target.number, api.version) == (2, 2, 2)
        assert await outcomes(store) == [(1, 1, Outcome.SUPERSEDED), (2, 2, Outcome.PROGRESSING)]
        newest, oldest = await store.rollouts("iris")
        assert (newest.finished_at, oldest.finished_at) == (None, at(5))
        assert [revision.number for revision in await store.revisions("iris")] == [2, 1]

    async def test_other_files_are_a_revision(self, store: Store) -> None:
        await store.record_package(Package(digest=DIGEST, size=1, uploaded_at=START))
        await deploy(store, spec())
        api = await deploy(store, spec(), package=DIGEST)
        assert api.target.revision == 2
        revision = await store.revision("iris", 2)
        assert revision
        assert revision.package == DIGEST

    async def test_the_live_generation_stays_while_the_next_progresses(self, store: Store) -> None:
        first = await go_live(store, spec())
        assert first.live == first.target
        second = await deploy(store, changed(2))
        assert second.live == first.target
        assert second.target.number == 2

    async def test_a_failed_first_revision_is_tried_again(self, store: Store) -> None:
        await store.finish(await deploy(store, spec()), Outcome.FAILED, "no\nlines", at(1))
        (again,) = await store.deploy([spec()], None, at(2))
        assert again.changed
        assert (again.api.target.revision, again.api.target.number) == (1, 2)
        assert (again.api.outcome, again.api.message) == (Outcome.PROGRESSING, "")
        assert await outcomes(store) == [(1, 1, Outcome.FAILED), (2, 1, Outcome.PROGRESSING)]

    async def test_a_failed_revision_is_tried_again_after_the_fall_back(self, store: Store) -> None:
        await go_live(store, spec())
        await store.finish(await deploy(store, changed(2)), Outcome.FAILED, "no", at(2))
        again = await deploy(store, changed(2))
        assert (again.target.revision, again.target.number) == (2, 3)
        assert len(await store.revisions("iris")) == 2

    async def test_what_was_rolled_back_from_can_be_deployed_again(self, store: Store) -> None:
        await go_live(store, spec(), changed(2))
        await store.rollback("iris", 1, at(3))
        again = await deploy(store, changed(2))
        assert (again.target.revision, again.target.number) == (2, 4)

    async def test_what_serves_after_a_fall_back_is_a_new_revision_when_deployed(self, store: Store) -> None:
        await go_live(store, spec())
        await store.finish(await deploy(store, changed(2)), Outcome.FAILED, "no", at(2))
        assert (await deploy(store, spec())).target.revision == 3

    @pytest.mark.parametrize(
        ("replicas", "bounds", "kept"),
        [(5, (1, 3), 3), (1, (2, 3), 2), (2, (1, 3), 2), (0, (0, 3), 1)],
    )
    async def test_the_number_of_replicas_is_kept_within_the_new_bounds(
        self, store: Store, replicas: int, bounds: tuple[int, int], kept: int
    ) -> None:
        await store.scale(await deploy(store, spec()), replicas)
        lowest, highest = bounds
        new = spec(autoscaling={"min_replicas": lowest, "max_replicas": highest})
        assert (await deploy(store, new)).replicas == kept

    async def test_all_or_none(self, store: Store) -> None:
        await deploy(store, spec("old"))
        await store.mark_deleting("old", at(1))
        with pytest.raises(Conflict, match="old is being deleted"):
            await deploy(store, spec("new"), changed(2, "old"))
        assert await store.api("new") is None
        assert len(await store.revisions("old")) == 1

    async def test_several_at_once(self, store: Store) -> None:
        names = ["b", "c", "a"]
        changes = await store.deploy([spec(name) for name in names], None, START)
        assert [change.api.name for change in changes] == names
        assert [api.name for api in await store.apis()] == sorted(names)

    async def test_an_unknown_package(self, store: Store) -> None:
        with pytest.raises(UnknownPackage, match=DIGEST):
            await deploy(store, spec(), package=DIGEST)
        assert await store.apis() == ()

    async def test_a_specification_comes_back_as_it_was(self, store: Store) -> None:
        wanted = spec(
            timeout="1h30m",
            env={"KEY": "värde 🙂"},
            handler={"path": "a.py", "config": {"deep": [1, 2.5, None, {"x": "\ud800"}]}},
            compute={"mem": "1.5Gi", "cpu": "250m"},
            update_strategy={"max_surge": 1},
        )
        await deploy(store, wanted)
        revision = await store.revision("iris", 1)
        assert revision
        assert revision.spec == wanted
        assert isinstance(revision.spec, RealtimeSpec)
        assert revision.spec.digest(None) == revision.digest


class TestOwner:
    async def test_an_api_keeps_the_owner_that_deployed_it_first(self, store: Store) -> None:
        await store.deploy([spec()], None, at(0), Author(owner=ApiOwner.MANIFEST))
        assert (await get(store)).owner is ApiOwner.MANIFEST
        await store.deploy([changed(2)], None, at(1), Author(owner=ApiOwner.MANIFEST))
        assert (await get(store)).owner is ApiOwner.MANIFEST
        assert (await deploy(store, spec("text"))).owner is ApiOwner.CLI

    async def test_another_owner_cannot_deploy_it(self, store: Store) -> None:
        await store.deploy([spec()], None, at(0), Author(owner=ApiOwner.MANIFEST))
        before = await get(store)
        with pytest.raises(Conflict, match=r"^A manifest deployed iris\."):
            await deploy(store, spec("text", networking={"endpoint": "t"}), spec())
        assert await store.apis() == (before,)

    async def test_the_history_has_the_author_of_each_rollout(self, store: Store) -> None:
        ci, manifest = Author("token ci"), Author("manifest text", ApiOwner.MANIFEST)
        await store.deploy([spec()], None, at(0), ci)
        await store.deploy([changed(2)], None, at(1), Author("token admin"))
        await store.refresh("iris", at(2), Author("user root"))
        await store.rollback("iris", 1, at(3), ci)
        await store.deploy([spec("text")], None, at(0), manifest)
        begun = [rollout.generation.started_by for rollout in await store.rollouts("iris")]
        assert begun == ["token ci", "user root", "token admin", "token ci"]
        assert (await get(store)).target.started_by == "token ci"
        (text,) = await store.rollouts("text")
        assert text.generation.started_by == "manifest text"

    async def test_the_newest_revision(self, store: Store) -> None:
        assert await store.latest_revision("iris") is None
        await go_live(store, spec())
        await store.finish(await deploy(store, changed(2)), Outcome.FAILED, "", at(2))
        latest = await store.latest_revision("iris")
        assert latest is not None
        assert (latest.number, (await get(store)).target.revision) == (2, 1)


class TestEndpoints:
    async def test_two_apis_cannot_share_one(self, store: Store) -> None:
        await deploy(store, spec())
        with pytest.raises(Conflict, match="other cannot have the endpoint /iris: iris has it"):
            await deploy(store, spec("other", networking={"endpoint": "iris"}))

    async def test_within_one_deploy_neither(self, store: Store) -> None:
        with pytest.raises(Conflict, match="/same"):
            await deploy(store, *(spec(name, networking={"endpoint": "same"}) for name in ("a", "b")))
        assert await store.apis() == ()

    async def test_the_live_revision_keeps_its_own(self, store: Store) -> None:
        await go_live(store, spec())
        moved = await deploy(store, spec(networking={"endpoint": "moved"}))
        with pytest.raises(Conflict):
            await deploy(store, spec("other", networking={"endpoint": "iris"}))
        await store.finish(moved, Outcome.DONE, "", at(2))
        await deploy(store, spec("other", networking={"endpoint": "iris"}))
        with pytest.raises(Conflict, match="iris cannot have the endpoint /iris: other has it"):
            await store.rollback("iris", 1, at(3))

    async def test_a_removed_api_frees_its_own(self, store: Store) -> None:
        await deploy(store, spec())
        await store.mark_deleting("iris", at(1))
        other = spec("other", networking={"endpoint": "iris"})
        with pytest.raises(Conflict):
            await deploy(store, other)
        await store.remove("iris")
        await deploy(store, other)


class TestFinish:
    async def test_done(self, store: Store) -> None:
        begun = await deploy(store, spec())
        api = await store.finish(begun, Outcome.DONE, "", at(1))
        assert api == await get(store)
        assert (api.live, api.outcome, api.version) == (begun.target, Outcome.DONE, begun.version + 1)
        (rollout,) = await store.rollouts("iris")
        assert (rollout.outcome, rollout.finished_at) == (Outcome.DONE, at(1))

    async def test_failed_falls_back(self, store: Store) -> None:
        first = await go_live(store, spec())
        begun = await deploy(store, changed(2))
        api = await store.finish(begun, Outcome.FAILED, "revision 2 did not\nline", at(3))
        assert api.target == api.live == first.target
        assert (api.outcome, api.message) == (Outcome.FAILED, "revision 2 did not\nline")
        newest = (await store.rollouts("iris"))[0]
        assert (newest.outcome, newest.message) == (Outcome.FAILED, "revision 2 did not\nline")
        assert await outcomes(store) == [(1, 1, Outcome.DONE), (2, 2, Outcome.FAILED)]

    async def test_a_failed_first_one_may_be_done_later(self, store: Store) -> None:
        begun = await deploy(store, spec())
        failed = await store.finish(begun, Outcome.FAILED, "no", at(1))
        assert (failed.target, failed.live) == (begun.target, None)
        api = await store.finish(failed, Outcome.DONE, "", at(2))
        assert (api.live, api.outcome, api.message) == (begun.target, Outcome.DONE, "")
        assert await outcomes(store) == [(1, 1, Outcome.DONE)]

    async def test_not_what_was_superseded(self, store: Store) -> None:
        begun = await deploy(store, spec())
        await deploy(store, changed(2))
        with pytest.raises(StaleVersion):
            await store.finish(begun, Outcome.DONE, "", at(1))
        assert (await get(store)).live is None

    async def test_not_twice(self, store: Store) -> None:
        done = await go_live(store, spec())
        with pytest.raises(StaleVersion):
            await store.finish(done, Outcome.FAILED, "no", at(2))
        assert await get(store) == done

    async def test_not_an_api_of_the_same_name_that_was_made_again(self, store: Store) -> None:
        old = await deploy(store, spec())
        await store.mark_deleting("iris", at(1))
        await store.remove("iris")
        new = await deploy(store, changed(2), seconds=2)
        assert new.version == old.version
        with pytest.raises(StaleVersion):
            await store.finish(old, Outcome.DONE, "", at(3))

    async def test_nothing_there(self, store: Store) -> None:
        api = await deploy(store, spec())
        await store.mark_deleting("iris", at(1))
        await store.remove("iris")
        with pytest.raises(UnknownApi):
            await store.finish(api, Outcome.DONE, "", at(2))

    async def test_of_one_that_is_being_deleted(self, store: Store) -> None:
        await deploy(store, spec())
        api = await store.finish(await store.mark_deleting("iris", at(1)), Outcome.DONE, "", at(2))
        assert (api.deleting, api.outcome) == (True, Outcome.DONE)

    async def test_output_that_a_database_cannot_keep(self, store: Store) -> None:
        """A replica may print anything."""
        begun = await deploy(store, spec())
        api = await store.finish(begun, Outcome.FAILED, "a\0b \ud800 é 🙂", at(1))
        assert api == await get(store)
        assert api.message.startswith("a")
        assert api.message.endswith("é 🙂")


class TestTimeOfUpdate:
    async def test_is_that_of_the_user_s_last_change(self, store: Store) -> None:
        await go_live(store, spec())
        api = await store.finish(await deploy(store, changed(2), seconds=3), Outcome.DONE, "", at(4))
        assert (await store.scale(api, 7)).updated_at == at(3)
        api = await store.rollback("iris", None, at(5))
        assert (await store.finish(api, Outcome.FAILED, "", at(6))).updated_at == at(5)
        assert (await store.refresh("iris", at(7))).updated_at == at(7)
        assert (await store.mark_deleting("iris", at(8))).updated_at == at(8)


def memory(api: Api, document: bytes = b"a\0\xff", version: int = 1, seconds: int = 9) -> ScalingMemory:
    return ScalingMemory(
        api=api.name, created_at=api.created_at, version=version, document=document, saved_at=at(seconds)
    )


class TestNodesRecord:
    async def test_the_last_one_is_kept(self, store: Store) -> None:
        assert await store.nodes_record() is None
        for document in (b"", b"a\0\xff", b"more" * 100_000):
            await store.save_nodes_record(document)
            assert await store.nodes_record() == document


class TestCosts:
    async def test_the_last_ones_are_kept(self, store: Store) -> None:
        first, second = (StoredCosts(start=start, version=1, document=b"a\0") for start in (3600, 2**40))
        assert await store.costs() == ()
        await store.save_costs([second, first], [])
        assert await store.costs() == (first, second)
        later = StoredCosts(start=3600, version=2, document=b"more" * 100_000)
        await store.save_costs([later], [second.start, 7200])
        await store.save_costs([], [])
        assert await store.costs() == (later,)


class TestMemories:
    async def test_the_last_one_is_kept(self, store: Store) -> None:
        iris, wine = await deploy(store, spec()), await deploy(store, spec(name="wine"))
        assert await store.memory("iris") is None
        await store.save_memories([memory(iris), memory(wine, b"")])
        assert await store.memory("iris") == memory(iris)
        assert await store.memory("wine") == memory(wine, b"")
        await store.save_memories([memory(iris, b"more" * 100_000, version=2, seconds=10)])
        assert await store.memory("iris") == memory(iris, b"more" * 100_000, version=2, seconds=10)

    async def test_unknown_apis_have_none(self, store: Store) -> None:
        api = await deploy(store, spec())
        await store.save_memories([memory(replace(api, name="other")), memory(api)])
        await store.save_memories([])
        assert await store.memory("other") is None
        assert await store.memory("iris") == memory(api)

    async def test_a_deleted_api_loses_it_and_its_namesake_does_not_get_it(self, store: Store) -> None:
        api = await deploy(store, spec())
        await store.save_memories([memory(api)])
        await store.mark_deleting("iris", at(1))
        await store.remove("iris")
        assert await store.memory("iris") is None
        again = await deploy(store, spec(), seconds=2)
        await store.save_memories([memory(api)])
        assert await store.memory("iris") is None
        await store.save_memories([memory(again)])
        assert await store.memory("iris") == memory(again)

    async def test_saving_changes_no_record(self, store: Store) -> None:
        api = await deploy(store, spec())
        await store.save_memories([memory(api)])
        assert await get(store) == api
        await store.scale(api, 3)


class TestScale:
    async def test_scale(self, store: Store) -> None:
        api = await store.scale(await deploy(store, spec()), 7)
        assert api == await get(store)
        assert (api.replicas, api.version) == (7, 2)

    async def test_not_from_a_stale_record(self, store: Store) -> None:
        api = await deploy(store, spec())
        await store.scale(api, 7)
        with pytest.raises(StaleVersion):
            await store.scale(api, 8)
        assert (await get(store)).replicas == 7

    async def test_of_writers_at_once_that_read_the_same_one_writes(self, store: Store) -> None:
        api = await deploy(store, spec())
        for _ in range(5):
            ends = await asyncio.gather(
                *(store.scale(api, api.replicas + more) for more in (1, 2, 3)), return_exceptions=True
            )
            (written,) = [end for end in ends if isinstance(end, Api)]
            assert [type(end) for end in ends if end is not written] == [StaleVersion, StaleVersion]
            assert written == await get(store)
            assert written.version == api.version + 1
            api = written


class TestScaleToZero:
    async def test_a_deploy_wakes_an_idle_api(self, store: Store) -> None:
        idle = {"min_replicas": 0}
        api = await go_live(store, spec(autoscaling=idle))
        await store.scale(api, 0)
        assert (await deploy(store, changed(2, autoscaling=idle))).replicas == 1

    async def test_unless_it_is_to_start_with_none(self, store: Store) -> None:
        idle = {"min_replicas": 0, "init_replicas": 0}
        api = await go_live(store, spec(autoscaling=idle))
        assert api.replicas == 0
        assert (await deploy(store, changed(2, autoscaling=idle))).replicas == 0


def a_start(number: int, kind: StartKind = StartKind.COLD, revision: int = 1) -> StartupTime:
    return StartupTime(api="iris", revision=revision, kind=kind, seconds=number / 8, time=at(number))


class TestStarts:
    async def test_of_each_revision_and_kind_the_newest_are_kept(self, store: Store) -> None:
        await go_live(store, spec(), changed(2))
        await store.record_start(a_start(0, StartKind.WARM))
        await store.record_start(a_start(0, revision=2))
        cold = [a_start(number) for number in range(KEPT_STARTS + 2)]
        for start in cold:
            await store.record_start(start)
        assert await store.starts("iris", 1) == (a_start(0, StartKind.WARM), *cold[2:])
        assert await store.starts("iris", 2) == (a_start(0, revision=2),)

    async def test_of_what_does_not_exist_none_is_kept(self, store: Store) -> None:
        await store.record_start(a_start(1))
        assert await store.starts("iris", 1) == ()
        await deploy(store, spec())
        await store.record_start(a_start(1, revision=2))
        assert await store.starts("iris", 2) == ()

    async def test_a_removed_api_takes_them_along(self, store: Store) -> None:
        await deploy(store, spec())
        await store.record_start(a_start(1))
        await store.mark_deleting("iris", at(2))
        await store.remove("iris")
        await deploy(store, spec())
        assert await store.starts("iris", 1) == ()


class TestRollback:
    async def test_to_the_one_that_was_live_before(self, store: Store) -> None:
        await go_live(store, spec(), changed(2))
        api = await store.rollback("iris", None, at(3))
        assert (api.target.revision, api.target.number, api.target.cause) == (1, 3, Cause.ROLLBACK)
        assert api.outcome is Outcome.PROGRESSING
        assert api.live
        assert api.live.revision == 2

    async def test_past_those_that_never_were_live(self, store: Store) -> None:
        await go_live(store, spec())
        await store.finish(await deploy(store, changed(2)), Outcome.FAILED, "no", at(2))
        await go_live(store, changed(3))
        assert (await store.rollback("iris", None, at(3))).target.revision == 1

    async def test_to_a_number(self, store: Store) -> None:
        await go_live(store, spec(), changed(2), changed(3))
        assert (await store.rollback("iris", 1, at(3))).target.revision == 1

    async def test_to_one_that_does_not_exist(self, store: Store) -> None:
        await go_live(store, spec())
        for number in (0, -1, 2):
            with pytest.raises(UnknownRevision, match=f"no revision {number}"):
                await store.rollback("iris", number, at(3))

    async def test_to_what_is_wanted_already(self, store: Store) -> None:
        await go_live(store, spec())
        with pytest.raises(Conflict, match="Revision 1 of iris is already the target"):
            await store.rollback("iris", 1, at(3))

    async def test_with_nothing_before(self, store: Store) -> None:
        await go_live(store, spec())
        with pytest.raises(Conflict, match="nothing to roll back to: no revision but 1 has ever been live"):
            await store.rollback("iris", None, at(3))

    async def test_of_what_was_never_live(self, store: Store) -> None:
        [change] = await store.deploy([spec()], None, START)
        await store.finish(change.api, Outcome.FAILED, "broken", at(1))
        with pytest.raises(Conflict, match="nothing to roll back to: no revision has ever been live"):
            await store.rollback("iris", None, at(3))

    async def test_of_nothing(self, store: Store) -> None:
        with pytest.raises(UnknownApi, match="no API named iris"):
            await store.rollback("iris", None, START)


class TestRefresh:
    async def test_the_same_revision_in_a_new_generation(self, store: Store) -> None:
        await go_live(store, spec())
        api = await store.refresh("iris", at(2))
        assert (api.target.revision, api.target.number, api.target.cause) == (1, 2, Cause.REFRESH)
        assert api.live
        assert api.live.number == 1

    async def test_generations_are_never_used_twice(self, store: Store) -> None:
        await go_live(store, spec())
        failed = await store.finish(await store.refresh("iris", at(2)), Outcome.FAILED, "no", at(3))
        assert failed.target.number == 1
        assert (await store.refresh("iris", at(4))).target.number == 3

    async def test_of_nothing(self, store: Store) -> None:
        with pytest.raises(UnknownApi):
            await store.refresh("iris", START)


class TestDelete:
    async def test_marks_once(self, store: Store) -> None:
        await deploy(store, spec())
        api = await store.mark_deleting("iris", at(1))
        assert (api.deleting, api.version, api.updated_at) == (True, 2, at(1))
        assert await store.mark_deleting("iris", at(2)) == api == await get(store)

    async def test_then_nothing_can_be_begun(self, store: Store) -> None:
        await go_live(store, spec(), changed(2))
        await store.mark_deleting("iris", at(2))
        for act in (deploy(store, spec()), store.rollback("iris", 1, at(3)), store.refresh("iris", at(3))):
            with pytest.raises(Conflict, match="being deleted"):
                await act

    async def test_of_nothing(self, store: Store) -> None:
        with pytest.raises(UnknownApi):
            await store.mark_deleting("iris", START)
        await store.remove("iris")

    async def test_remove_forgets_everything(self, store: Store) -> None:
        await go_live(store, spec(), changed(2))
        await deploy(store, spec("other"))
        await store.record(event("iris", 1), event("other", 1))
        await store.mark_deleting("iris", at(2))
        await store.remove("iris")
        assert [api.name for api in await store.apis()] == ["other"]
        assert (
            await store.revisions("iris") == await store.rollouts("iris") == await store.events("iris") == ()
        )
        assert len(await store.events("other")) == len(await store.revisions("other")) == 1
        again = await deploy(store, spec())
        assert (again.target.revision, again.target.number, again.version) == (1, 1, 1)
        assert await store.events("iris") == ()

    async def test_remove_asks_for_the_mark(self, store: Store) -> None:
        await deploy(store, spec())
        with pytest.raises(Conflict, match="not being deleted"):
            await store.remove("iris")


class TestHistory:
    async def test_the_last_hundred_rollouts(self, store: Store) -> None:
        await go_live(store, spec())
        for _ in range(103):
            await store.refresh("iris", at(2))
        numbers = [rollout.generation.number for rollout in await store.rollouts("iris")]
        assert numbers == list(range(104, 4, -1))

    async def test_of_nothing(self, store: Store) -> None:
        assert await store.revision("iris", 1) is None
        assert (
            await store.revisions("iris") == await store.rollouts("iris") == await store.events("iris") == ()
        )

    async def test_times_are_kept_to_the_microsecond_in_utc(self, store: Store) -> None:
        await deploy(store, spec())
        created_at = (await get(store)).created_at
        assert (created_at, created_at.utcoffset()) == (START, timedelta(0))


class TestEvents:
    async def test_oldest_first_the_newest_kept(self, store: Store) -> None:
        await deploy(store, spec())
        recorded = [event("iris", number) for number in range(1005)]
        await store.record(*recorded[:600])
        await store.record(*recorded[600:])
        assert without_ids(await store.events("iris", 2000)) == recorded[-1000:]
        assert without_ids(await store.events("iris")) == recorded[-100:]
        assert without_ids(await store.events("iris", 3)) == recorded[-3:]
        assert await store.events("iris", 0) == ()

    async def test_in_the_order_of_recording(self, store: Store) -> None:
        await deploy(store, spec())
        late, early = event("iris", 9), event("iris", 1)
        await store.record(late, early)
        assert without_ids(await store.events("iris")) == [late, early]

    async def test_of_an_unknown_api_are_dropped(self, store: Store) -> None:
        await deploy(store, spec())
        recorded = await store.record(event("other", 1), event("iris", 2))
        assert await store.events("other") == ()
        assert await store.events("iris") == recorded
        assert without_ids(recorded) == [event("iris", 2)]
        assert await store.record() == ()

    async def test_ids_grow_and_are_never_given_again(self, store: Store) -> None:
        await deploy(store, spec(), spec("other"))
        recorded = [*await store.record(event("iris", 1), event("other", 1), event("iris", 2))]
        await store.mark_deleting("iris", at(3))
        await store.remove("iris")
        recorded += await store.record(event("other", 2))
        await deploy(store, spec())
        recorded += await store.record(event("iris", 3), event("iris", 4))
        ids = [event.id or 0 for event in recorded]
        assert ids == sorted(set(ids))
        assert await store.events("iris") == tuple(recorded[-2:])

    async def test_after_an_id(self, store: Store) -> None:
        await deploy(store, spec(), spec("other"))
        recorded = await store.record(*(event(("iris", "other")[n % 2], n) for n in range(10)))
        iris = recorded[::2]
        for position, last in enumerate(iris):
            assert last.id
            assert await store.events("iris", after=last.id) == iris[position + 1 :]
            assert await store.events("iris", 1, last.id) == iris[position + 1 :][-1:]

    async def test_a_repetition_takes_the_place_of_what_it_repeats(self, store: Store) -> None:
        await deploy(store, spec())
        first, between = await store.record(event("iris", 1), event("iris", 2))
        again = replace(event("iris", 1), time=at(9), count=2, id=first.id)
        (repeated,) = await store.record(again)
        assert (repeated.count, repeated.first_time, repeated.time) == (3, at(1), at(9))
        assert await store.events("iris") == (between, repeated)
        assert between.id
        assert await store.events("iris", after=between.id) == (repeated,)
        (third,) = await store.record(replace(repeated, time=at(10), count=1, first_time=None))
        assert (third.count, third.first_time, third.time) == (4, at(1), at(10))

    async def test_a_repetition_of_what_is_gone_stands_for_itself(self, store: Store) -> None:
        await deploy(store, spec())
        (first,) = await store.record(event("iris", 1))
        await store.mark_deleting("iris", at(2))
        await store.remove("iris")
        await deploy(store, spec())
        (stored,) = await store.record(replace(event("iris", 1), id=first.id))
        assert without_ids([stored]) == [event("iris", 1)]
        assert (stored.id or 0) > (first.id or 0)

    async def test_messages_may_hold_anything(self, store: Store) -> None:
        await deploy(store, spec())
        await store.record(event("iris", 1, "a\0b \ud800"), event("iris", 2, "'; DROP TABLE apis; --"))
        odd, plain = await store.events("iris")
        assert odd.message.startswith("a")
        assert plain.message == "'; DROP TABLE apis; --"


class TestPackages:
    async def test_recorded_once(self, store: Store) -> None:
        assert await store.package(DIGEST) is None
        package = Package(digest=DIGEST, size=2**40, uploaded_at=START)
        await store.record_package(package)
        await store.record_package(package)
        assert await store.package(DIGEST) == package

    async def test_uploaded_again_counts_from_then(self, store: Store) -> None:
        for seconds in (5, 3):
            await store.record_package(Package(digest=DIGEST, size=1, uploaded_at=at(seconds)))
        package = await store.package(DIGEST)
        assert package
        assert package.uploaded_at == at(5)

    async def test_old_ones_without_a_revision_are_forgotten(self, store: Store) -> None:
        for digest, seconds in (("used", 0), ("old", 0), ("older", 0), ("new", 9)):
            await store.record_package(Package(digest=digest, size=1, uploaded_at=at(seconds)))
        await deploy(store, spec(), package="used")
        await deploy(store, spec())
        assert await store.forget_packages(at(9)) == ("old", "older")
        assert await store.package("old") is None
        assert await store.package("used")
        assert await store.package("new")
        await store.mark_deleting("iris", at(9))
        await store.remove("iris")
        assert await store.forget_packages(at(9)) == ("used",)


def token(name: str, number: int = 1, **fields: Any) -> Token:
    settings: dict[str, Any] = {"read_only": False, "created_by": "me", **fields}
    return Token(name=name, digest=f"{number:064}", created_at=at(number), **settings)


class TestTokens:
    async def test_they_are_kept_by_name(self, store: Store) -> None:
        reader = token("reader", 1, read_only=True, created_by="token é")
        await store.create_token(reader)
        await store.create_token(token("ci", 2))
        assert await store.tokens() == (token("ci", 2), reader)

    async def test_a_name_is_free_again_once_its_token_is_revoked(self, store: Store) -> None:
        await store.create_token(token("ci", 1))
        with pytest.raises(Conflict) as refused:
            await store.create_token(token("ci", 2))
        assert str(refused.value) == (
            "There is a token named ci already. Choose another name, or revoke it first: "
            "gyrus token revoke ci"
        )
        revoked = await store.revoke_token("ci", at(3))
        assert revoked == replace(token("ci", 1), revoked_at=at(3))
        await store.create_token(token("ci", 4))
        assert await store.tokens() == (revoked, token("ci", 4))

    async def test_one_that_is_unknown_or_revoked_cannot_be_revoked(self, store: Store) -> None:
        await store.create_token(token("ci"))
        await store.revoke_token("ci", at(3))
        for name in ("ci", "other"):
            with pytest.raises(UnknownToken) as refused:
                await store.revoke_token(name, at(4))
            assert str(refused.value) == (
                f"There is no token named {name}; `gyrus token list` lists those that exist."
            )

    async def test_the_latest_revoked_ones_are_kept(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("gyrus.state.memory", "gyrus.state.sql.store"):
            monkeypatch.setattr(f"{module}.KEPT_REVOKED", 2)
        await store.create_token(token("kept", 9))
        for number in range(4):
            await store.create_token(token("ci", number))
            await store.revoke_token("ci", at(10 + number))
        assert [found.digest for found in await store.tokens()] == [
            token("", number).digest for number in (2, 3, 9)
        ]


class TestLeader:
    """Several operators reach one database, and only the last one that opened it writes."""

    async def test_an_earlier_one_writes_nothing_any_more(self, database: str) -> None:
        async with open_store(database, "a/1") as one:
            api = await deploy(one, spec())
            async with open_store(database, "b/2") as other:
                for write in (
                    one.scale(api, 2),
                    one.record(event("iris", 1)),
                    one.create_token(token("ci")),
                    one.save_memories([]),
                    one.save_nodes_record(b""),
                    one.save_costs([], []),
                ):
                    with pytest.raises(LeaderReplaced) as refused:
                        await write
                    assert str(refused.value) == (
                        "Another operator leads (b/2): this one writes nothing any more."
                    )
                assert await one.apis() == await other.apis()
                assert (await other.scale(api, 2)).replicas == 2
                assert await other.events("iris") == ()


class TestConcurrency:
    """Two operators' worth of stores over one database; a memory store would have nothing to show."""

    async def test_of_equal_deploys_one_begins(self, database: str) -> None:
        async with open_store(database) as one, open_store(database) as other:
            for number in range(8):
                changes = await asyncio.gather(
                    *(store.deploy([changed(number)], None, START) for store in (one, other, one, other))
                )
                assert sorted(change.changed for (change,) in changes) == [False, False, False, True]
            assert len(await outcomes(one)) == 8

    async def test_of_different_deploys_the_later_supersedes(self, database: str) -> None:
        async with open_store(database) as one, open_store(database) as other:
            stores = (one, other) * 4
            await asyncio.gather(
                *(store.deploy([changed(number)], None, START) for number, store in enumerate(stores))
            )
            history = await outcomes(one)
        assert [(number, number) for number in range(1, 9)] == [entry[:2] for entry in history]
        assert [entry[2] for entry in history] == [*[Outcome.SUPERSEDED] * 7, Outcome.PROGRESSING]

    async def test_a_rollout_ends_or_is_superseded_never_both(self, database: str) -> None:
        async with open_store(database) as one, open_store(database) as other:
            for number in range(10):
                begun = await deploy(one, changed(number))
                ended, _ = await asyncio.gather(
                    one.finish(begun, Outcome.DONE, "", at(1)),
                    other.deploy([changed(number, max_queue_length=1)], None, at(1)),
                    return_exceptions=True,
                )
                api = await get(one)
                assert api.outcome is Outcome.PROGRESSING
                if isinstance(ended, StaleVersion):
                    assert api.live != begun.target
                else:
                    assert isinstance(ended, Api)
                    assert api.live == begun.target

    async def test_of_operators_that_read_the_same_one_writes(self, database: str) -> None:
        async with open_store(database) as one, open_store(database) as other:
            api = await deploy(one, spec())
            for _ in range(10):
                ends = await asyncio.gather(
                    *(store.scale(api, n) for n, store in enumerate((one, other), api.replicas + 1)),
                    return_exceptions=True,
                )
                (written,) = [end for end in ends if isinstance(end, Api)]
                assert {type(end) for end in ends} == {Api, StaleVersion}
                assert written == await get(one) == await get(other)
                api = written

    async def test_many_writers_and_readers(self, database: str) -> None:
        async with open_store(database) as store:
            await store.deploy([spec(f"api-{n}") for n in range(10)], None, START)
            await asyncio.gather(
                *(store.record(event(f"api-{n % 10}", n)) for n in range(40)),
                *(store.apis() for _ in range(40)),
            )
            assert [len(await store.events(f"api-{n}")) for n in range(10)] == [4] * 10
