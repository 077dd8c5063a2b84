"""The mux: the order of transformers, the log, and what becomes of transformers that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.stream.events import make_event
from distgraph.stream.mux import StreamMux, finished
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import StreamTransformer

pytestmark = pytest.mark.unit


class Noting(StreamTransformer):
    """Notes what it is told; fails where it is told to."""

    def __init__(self, scope: tuple[str, ...] = (), name: str = "noted", fails: str = "") -> None:
        super().__init__(scope)
        self.name, self.fails = name, fails
        self.noted: list[Any] = []
        self.channel: StreamChannel[Any] = StreamChannel(name)

    def init(self) -> dict[str, Any]:
        return {self.name: self.channel}

    def process(self, event: Any) -> bool:
        self.noted.append(event["method"])
        self.channel.push(event["method"])
        return bool(event["method"] != "hidden")

    def finalize(self) -> None:
        self._end("finalize")

    def fail(self, err: BaseException) -> None:
        self._end("fail")

    def _end(self, how: str) -> None:
        self.noted.append(how)
        if how == self.fails:
            raise ValueError(f"{self.name} cannot {how}")


class First(Noting):
    before_builtins = True


def test_the_log_has_what_transformers_leave_and_what_they_push_first() -> None:
    mux = StreamMux([Noting])
    log = iter(mux.log)
    for method in ("custom", "hidden"):
        finished(mux.push(make_event(method, 1, [])))
    finished(mux.close())
    assert [(event["seq"], event["method"]) for event in log] == [
        (1, "custom:noted"),
        (2, "custom"),
        (3, "custom:noted"),
    ]


def test_some_transformers_come_first() -> None:
    mux = StreamMux([Noting, lambda scope: First(scope, "first")])
    assert [type(each).__name__ for each in mux.transformers] == ["First", "Noting"]
    assert list(mux.extensions) == ["first", "noted"]


def test_the_newest_values_and_all_questions_of_its_own_graph() -> None:
    mux = StreamMux([], scope=("in:1",))
    for namespace, data, asked in (["in:1"], 1, "?"), (["in:1", "deep:2"], 2, "no"), ([], 3, "no"), (["in:1"], 4, "!"):
        event = make_event("values", data, list(namespace))
        event["params"]["interrupts"] = (asked,)
        finished(mux.push(event))
    assert (mux.latest, mux.interrupts) == (4, ["?", "!"])


@pytest.mark.parametrize("is_async", [False, True])
def test_a_transformer_that_fails_at_the_end_fails_the_projections_and_all_are_told(is_async: bool) -> None:
    mux = StreamMux(
        [lambda scope: Noting(scope, "a", "finalize"), lambda scope: Noting(scope, "b", "finalize")], is_async=is_async
    )
    asyncio.run(mux.close()) if is_async else finished(mux.close())
    assert [each.noted for each in mux.transformers if isinstance(each, Noting)] == [["finalize"], ["finalize"]]
    assert str(mux.log.error) == str(mux.extensions["b"].error) == "a cannot finalize"


def test_what_a_transformer_makes_of_a_failure_does_not_hide_it() -> None:
    mux = StreamMux([lambda scope: Noting(scope, "a", "fail"), lambda scope: Noting(scope, "b")])
    finished(mux.fail(KeyError("it")))
    assert isinstance(mux.log.error, KeyError)
    assert mux.extensions["b"].error is mux.log.error
    assert not mux.more()


class Scheduling(StreamTransformer):
    requires_async = True
    on_error: Any = "log"

    def init(self) -> dict[str, Any]:
        self.done: list[str] = []
        return {"done": self.done}

    def process(self, event: Any) -> bool:
        self.schedule(self.work(event["params"]["data"]), on_error=self.on_error)
        return True

    async def work(self, data: str) -> None:
        try:
            await asyncio.sleep(0 if data != "long" else 60)
        except asyncio.CancelledError:
            self.done.append("cancelled")
            raise
        if data == "bad":
            raise ValueError("bad work")
        self.done.append(data)


class Strict(Scheduling):
    on_error = "raise"


def test_what_is_scheduled_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def program() -> StreamMux:
        mux = StreamMux([Scheduling], is_async=True)
        for data in ("one", "bad", "two"):
            await mux.push(make_event("custom", data, []))
        await mux.close()
        return mux

    mux = asyncio.run(program())
    assert mux.extensions["done"] == ["one", "two"]
    assert mux.log.error is None
    assert "scheduled has failed" in caplog.text


def test_what_is_scheduled_may_fail_the_run_and_is_cancelled_with_it() -> None:
    async def program(err: Exception | None, *given: str) -> StreamMux:
        mux = StreamMux([Strict], is_async=True)
        for data in given:
            await mux.push(make_event("custom", data, []))
        await asyncio.sleep(0)
        await (mux.close() if err is None else mux.fail(err))
        return mux

    failed = asyncio.run(program(None, "bad"))
    assert str(failed.log.error) == "bad work"
    other = asyncio.run(program(KeyError("it"), "long"))
    assert other.extensions["done"] == ["cancelled"]


def test_refused() -> None:
    with pytest.raises(RuntimeError, match="Scheduling requires an async run"):
        StreamMux([Scheduling])
    with pytest.raises(ConfigError, match=r"conflict with those of others: 'noted' \(of Noting\)"):
        StreamMux([Noting, Noting])
    with pytest.raises(TypeError, match="must return a dict, got list"):
        StreamMux([type("Odd", (Noting,), {"init": lambda self: []})])
    with pytest.raises(TypeError, match="makes a int"):
        StreamMux([lambda scope: 3])  # type: ignore[list-item, return-value]
    with pytest.raises(RuntimeError, match="asked to wait"):
        finished(asyncio.sleep(0))
