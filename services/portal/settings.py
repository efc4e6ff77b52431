"""The portal's settings, from the environment; nothing else reads it."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.portal.domain.sessions import SessionRules


class Settings(BaseSettings):
    """Variables begin with PORTAL_, those of the whole system with OTKLIK_."""

    model_config = SettingsConfigDict(
        env_prefix="PORTAL_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    database_url: str
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65_535)
    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092", validation_alias=AliasChoices("OTKLIK_KAFKA_BOOTSTRAP_SERVERS")
    )
    session_secret: SecretStr
    """Sessions and form tokens hang on it; another one logs everybody out."""
    secure_cookies: bool = True
    session_idle_minutes: int = Field(default=120, ge=1)
    session_hours: int = Field(default=12, ge=1)
    casework_url: str = "http://127.0.0.1:8003"
    casework_key: SecretStr
    scoring_url: str = "http://127.0.0.1:8002"
    scoring_key: SecretStr
    ingest_url: str = "http://127.0.0.1:8001"
    ingest_key: SecretStr
    notify_url: str = "http://127.0.0.1:8004"
    notify_key: SecretStr
    ingest_public_url: str = "http://127.0.0.1:8001"
    """Where vendors on the internet reach ingest: what a webhook's address begins with."""
    time_zone: str = "Europe/Moscow"
    """IANA name of the zone in which the company reads its times and counts its days."""
    events_kept_days: int = Field(default=30, ge=1)

    @field_validator("session_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < 32:  # noqa: PLR2004
            raise ValueError("at least 32 characters")
        return secret

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is no IANA time zone") from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def session_rules(self) -> SessionRules:
        """How long log-ins last."""
        return SessionRules(
            idle=timedelta(minutes=self.session_idle_minutes), absolute=timedelta(hours=self.session_hours)
        )
