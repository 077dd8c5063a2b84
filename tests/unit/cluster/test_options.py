"""How a run is to be executed, as it is stored with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.cluster.options import RunOptions, options_from, retention_ms, span
from distgraph.cluster.registry import codec_for
from distgraph.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(),
        RunOptions(
            "spread", 7, ("a", "b"), "*", ("t",), {"who": "ada"}, {"k": 1}, {"c": 2}, "name", "latest", False, (3, 1.5)
        ),
    ],
)
def test_options_come_back_from_the_ledger(options: RunOptions) -> None:
    codec = codec_for()
    assert RunOptions.of(codec.decode(codec.encode(options.plain()))) == options


def test_what_a_newer_version_stored_is_left_out() -> None:
    assert RunOptions.of({**RunOptions().plain(), "colour": "blue"}) == RunOptions()


def test_what_an_older_version_did_not_store_has_its_default() -> None:
    assert RunOptions.of({"keep": "latest"}) == RunOptions(keep="latest")


def test_a_config_is_taken_apart() -> None:
    config: dict[str, Any] = {
        "recursion_limit": 9,
        "tags": ["t"],
        "metadata": {"who": "ada"},
        "run_name": "n",
        "configurable": {"model": "m", "checkpoint_id": "c", "__private": 1},
    }
    options = options_from(config, placement="local", keep="latest")
    assert (options.recursion_limit, options.tags, options.run_name) == (9, ("t",), "n")
    assert options.metadata == {"who": "ada"}
    assert options.configurable == {"model": "m"}, "what names checkpoints, and what is ours, does not travel"
    assert (options.placement, options.keep) == ("local", "latest")


def test_an_unknown_placement_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"placement 'everywhere' does not exist. Use one of auto, spread, local"):
        options_from({}, placement="everywhere")


def test_an_unknown_retention_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"keep 'some' does not exist. Use one of all, latest, a number of checkpoints"
    ):
        options_from({}, placement="auto", keep="some")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("1.5m", 90), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("never", None)],
)
def test_a_length_of_time_is_read(text: str, seconds: float | None) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1", "7 d", "1e3", "inf", "forever", "1y", "9" * 30])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no length of time"):
        span(text)


def test_a_retention_is_seconds_or_a_timedelta() -> None:
    assert [retention_ms(kept) for kept in (None, 1.5, timedelta(minutes=1))] == [None, 1500, 60_000]
    with pytest.raises(
        ConfigError, match="it is the seconds that a run or batch is kept after its end, a timedelta, or"
    ):
        retention_ms(timedelta(days=-1))


@pytest.mark.parametrize(
    ("keep", "retention"),
    [
        ("all", None),
        (3, CheckpointRetention(last=3)),
        (timedelta(hours=1), CheckpointRetention(age=timedelta(hours=1))),
        (CheckpointRetention(2, timedelta(hours=1)), CheckpointRetention(2, timedelta(hours=1))),
    ],
)
def test_what_stays_of_a_thread_comes_back_from_the_ledger(keep: Any, retention: CheckpointRetention | None) -> None:
    codec = codec_for()
    options = options_from({}, placement="auto", keep=keep)
    assert RunOptions.of(codec.decode(codec.encode(options.plain()))).retention == retention


@pytest.mark.parametrize("keep", [0, -1, True, None, 1.5, timedelta(0)])
def test_a_keep_that_keeps_nothing_is_refused(keep: Any) -> None:
    with pytest.raises(ConfigError):
        options_from({}, placement="auto", keep=keep)
