import pytest
from pydantic import ValidationError

from services.portal.settings import Settings

GOOD = {
    "PORTAL_DATABASE_URL": "postgresql://portal:hunter2@/otklik",
    "PORTAL_SESSION_SECRET": "s" * 40,
    "PORTAL_CASEWORK_KEY": "otk_casework",
    "PORTAL_SCORING_KEY": "otk_scoring",
    "PORTAL_INGEST_KEY": "otk_ingest",
    "PORTAL_NOTIFY_KEY": "otk_notify",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def read() -> Settings:
    return Settings()  # type: ignore[call-arg] # the environment gives the rest


def test_the_environment_gives_them_and_what_is_silent_is_safe(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTKLIK_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    settings = read()
    assert settings.secure_cookies
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.zone.key == "Europe/Moscow"
    assert settings.session_rules.idle < settings.session_rules.absolute


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_SESSION_SECRET", "short"),
        ("PORTAL_SESSION_SECRET", ""),
        ("PORTAL_TIME_ZONE", "Mars/Olympus"),
        ("PORTAL_PORT", "0"),
        ("PORTAL_SESSION_HOURS", "0"),
    ],
)
def test_what_would_not_work_is_said_at_the_start_without_a_secret(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        read()
    assert "hunter2" not in str(refused.value)
    assert "otk_" not in str(refused.value)


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - sets the environment
    assert "otk_" not in repr(read())
    assert "ssss" not in repr(read())
