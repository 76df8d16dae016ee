"""The handler's own tasks on the event loop that serves."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.worker import new_runner, run
from gyrus.testing import HandlerClient, LoadFailed


class Refreshing:
    """A handler with a task that counts, and a client that is opened and closed."""

    opened = closed = False

    async def setup(self, config: dict[str, Any]) -> None:
        self.count = config["start"]
        self.opened = True
        self.loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        asyncio.create_task(self.refresh(), name="refresh")  # noqa: RUF006 -- the runtime keeps it

    async def refresh(self) -> None:
        while True:
            self.count += 1
            self.changed.set()
            await asyncio.sleep(0)

    async def predict(self, payload: Any) -> Any:
        assert asyncio.get_running_loop() is self.loop
        await self.changed.wait()
        return self.count

    async def teardown(self) -> None:
        self.closed = True


def test_setup_starts_tasks_on_the_loop_that_serves() -> None:
    with HandlerClient(Refreshing, {"start": 41}) as client:
        assert client.predict({}).json() > 41
        handler: Any = client.handler.instance
        assert handler.opened
        assert not handler.closed
    assert handler.closed


def test_a_failing_setup_fails_the_start() -> None:
    class Handler:
        async def setup(self) -> None:
            raise ConnectionError("no database")

        def predict(self) -> None: ...

    with pytest.raises(LoadFailed, match=r"Handler.setup failed: ConnectionError: no database"):
        HandlerClient(Handler)


def test_a_setup_that_is_not_async_belongs_to_the_handler() -> None:
    class Handler:
        runs = 0

        def __init__(self) -> None:
            self.setup()

        def setup(self) -> None:
            self.runs += 1

        def predict(self) -> int:
            return self.runs

    with HandlerClient(Handler) as client:
        assert client.predict().json() == 1


@pytest.mark.parametrize("name", ["setup", "teardown"])
def test_arguments_that_do_not_exist_are_refused(name: str) -> None:
    async def method(self: object, device: str) -> None: ...

    class Handler:
        def predict(self) -> None: ...

    setattr(Handler, name, method)
    with pytest.raises(LoadFailed, match="requires the argument 'device', which does not exist"):
        HandlerClient(Handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_of_init_is_refused_with_the_remedy() -> None:
    class Handler:
        def __init__(self) -> None:
            asyncio.create_task(asyncio.sleep(1))  # noqa: RUF006 -- it fails

        def predict(self) -> None: ...

    with pytest.raises(LoadFailed, match=r"no running event loop.*start tasks in async def setup"):
        HandlerClient(Handler)


@pytest.mark.parametrize("late", [False, True], ids=["during setup", "after setup"])
def test_a_failing_task_is_logged(caplog: pytest.LogCaptureFixture, late: bool) -> None:
    class Handler:
        async def setup(self) -> None:
            self.released = asyncio.Event()
            self.task = asyncio.create_task(self.fail(), name="refresh")
            if not late:
                self.released.set()
                await asyncio.sleep(0.01)

        async def fail(self) -> None:
            await self.released.wait()
            raise ValueError("MARK")

        async def predict(self) -> None:
            self.released.set()
            await asyncio.wait({self.task})
            await asyncio.sleep(0)

    with HandlerClient(Handler) as client:
        client.predict()
    (record,) = [record for record in caplog.records if "MARK" in record.getMessage()]
    assert record.getMessage().startswith("the background task refresh failed")


def test_a_failure_that_setup_handles_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        async def setup(self) -> None:
            await asyncio.gather(self.fail(), return_exceptions=True)

        async def fail(self) -> None:
            raise ValueError("MARK")

        def predict(self) -> None: ...

    with HandlerClient(Handler) as client:
        client.predict()
    assert "MARK" not in caplog.text


def test_a_failing_teardown_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        def predict(self) -> None: ...

        def teardown(self) -> None:
            raise SystemExit("MARK")

    with HandlerClient(Handler) as client:
        client.predict()
    assert "SystemExit: MARK" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exit_in_a_task_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    done: list[str] = []

    async def leave() -> None:
        raise SystemExit(1)

    async def main() -> None:
        task = asyncio.create_task(leave())
        await asyncio.wait({task})
        await asyncio.sleep(0)
        done.append("served")

    with new_runner() as runner:
        run(runner.get_loop(), main())
    asyncio.set_event_loop(None)
    assert done == ["served"]
    assert "SystemExit" in caplog.text


async def test_calls_wait_for_a_thread_where_no_other_can_be_started(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrus.runtime.calls.threads import Ending

    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    threads = Threads(asyncio.get_running_loop(), most=4)
    threads.start_one()
    monkeypatch.setattr("threading.Thread.start", refuse)
    ended = [asyncio.get_running_loop().create_future() for _ in range(4)]
    for future in ended:
        threads.submit(lambda item: Ending(item.set_result, (None,)), future)
    await asyncio.gather(*ended)
    threads.stop()
    assert "the limit of processes and threads is reached" in caplog.text
