"""What an operator sets, and what a wrong setting says."""

from __future__ import annotations

import pytest

from distgraph.errors import ConfigError
from workers.settings import Settings

pytestmark = pytest.mark.unit


def test_nothing_has_to_be_set() -> None:
    """Without any variable a worker serves the sample graphs from a server on this machine."""
    settings = Settings.load()
    assert settings.url == "redis://127.0.0.1:6379/0"
    assert (settings.namespace, settings.graphs, settings.pool) == ("default", ("workers.graphs",), "prefork")
    assert settings.secret is None
    assert settings.flower_address == "127.0.0.1"


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_GRAPHS", "shop.graphs, bank.flows:monthly,")
    monkeypatch.setenv("DISTGRAPH_QUEUES", "gpu")
    settings = Settings.load()
    assert settings.graphs == ("shop.graphs", "bank.flows:monthly")
    assert settings.queues == ("gpu",)


def test_a_broker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().broker_url == ""
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "redis://broker:6379/0")
    assert Settings.load().broker_url == "redis://broker:6379/0"
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", "amqp://user:hush@broker//")
    with pytest.raises(ConfigError, match="DISTGRAPH_BROKER_URL: must look like redis://") as caught:
        Settings.load()
    assert "hush" not in str(caught.value)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass `NAME=` for what the operator did not choose."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"DISTGRAPH_{name.upper()}", "")
    assert Settings.load() == Settings()


def test_the_log_level_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_LOG_LEVEL", "debug")
    assert Settings.load().log_level == "DEBUG"


def test_all_wrong_settings_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_POOL", "gevent")
    monkeypatch.setenv("DISTGRAPH_CONCURRENCY", "0")
    monkeypatch.setenv("DISTGRAPH_GRAPHS", "os.system('x')")
    with pytest.raises(ConfigError) as caught:
        Settings.load()
    text = str(caught.value)
    assert "DISTGRAPH_POOL=gevent: must be 'prefork', 'threads' or 'solo'" in text
    assert "DISTGRAPH_CONCURRENCY=0" in text
    assert "DISTGRAPH_GRAPHS=os.system('x'): must be package.module" in text


def test_a_misspelt_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_CONCURENCY", "8")
    with pytest.raises(ConfigError, match="did you mean DISTGRAPH_CONCURRENCY"):
        Settings.load()


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """DISTGRAPH_PASSWORD belongs to the compose file, not to a worker."""
    monkeypatch.setenv("DISTGRAPH_PASSWORD", "s3cret")
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    "url", ["rediss://host?ssl_ca_certs=/ca.pem", "unix:///run/redis.sock?db=2", "redis://host?db=3"]
)
def test_every_form_of_address_will_do(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", url)
    monkeypatch.setenv("DISTGRAPH_BROKER_URL", url)
    assert (Settings.load().url, Settings.load().broker_url) == (url, url)


@pytest.mark.parametrize("url", ["http://:s3cret@host/0", "redis://", ":s3cret@host", "s3cret", "redis://s3cret@host"])
def test_a_wrong_url_is_refused_without_showing_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", url)
    with pytest.raises(ConfigError, match="must look like redis://") as caught:
        Settings.load()
    assert "s3cret" not in str(caught.value)


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTGRAPH_URL", "redis://:s3cret@host:6379/0")
    monkeypatch.setenv("DISTGRAPH_SECRET", "s3cret")
    monkeypatch.setenv("DISTGRAPH_FLOWER_PASSWORD", "s3cret")
    settings = Settings.load()
    assert "s3cret" not in repr(settings) + str(settings)
    assert settings.secret and settings.secret.get_secret_value() == "s3cret"
