"""What the environment says about the local stack; the only reader of the environment here."""

import os
from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.ports import free_ports

ROOT: Final = Path(__file__).parent.parent.parent
SERVICES: Final = ("ingest", "scoring", "casework", "notify", "portal")


class StackSettings(BaseSettings):
    """Servers that are given by address, which are used instead of our own, and where ours keep their state."""

    model_config = SettingsConfigDict(env_prefix="OTKLIK_", env_ignore_empty=True)

    database_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    smtp_url: str | None = None
    ingest_url: str | None = None
    ingest_key: SecretStr | None = None
    scoring_url: str | None = None
    scoring_key: SecretStr | None = None
    data_dir: Path = ROOT / ".data"


class Ports(BaseSettings):
    """The ports on loopback; each field's alias is the environment variable that sets it."""

    model_config = SettingsConfigDict(env_ignore_empty=True, populate_by_name=True, frozen=True)

    portal: int = Field(default=8000, validation_alias="PORTAL_PORT")
    ingest: int = Field(default=8001, validation_alias="INGEST_PORT")
    scoring: int = Field(default=8002, validation_alias="SCORING_PORT")
    casework: int = Field(default=8003, validation_alias="CASEWORK_PORT")
    notify: int = Field(default=8004, validation_alias="NOTIFY_PORT")
    smtp: int = Field(default=1025, validation_alias="OTKLIK_SMTP_PORT")
    mailbox: int = Field(default=8025, validation_alias="OTKLIK_MAILBOX_PORT")
    kafka: int = Field(default=9092, validation_alias="OTKLIK_KAFKA_PORT")
    kafka_controller: int = Field(default=9093, validation_alias="OTKLIK_KAFKA_CONTROLLER_PORT")

    @classmethod
    def random(cls) -> Self:
        """Choose free ports for all: several stacks run side by side."""
        names = tuple(cls.model_fields)
        return cls(**dict(zip(names, free_ports(len(names)), strict=True)))

    def of(self, name: str) -> int:
        """Look up the port of a part by its name."""
        port: int = getattr(self, name)
        return port

    @classmethod
    def setting(cls, name: str) -> str:
        """Name the environment variable that sets a part's port."""
        return str(cls.model_fields[name].validation_alias)


def inherited_environment() -> dict[str, str]:
    """Copy the environment, for the services: each reads its own settings in it."""
    return dict(os.environ)


def service_urls() -> dict[str, str]:
    """Find the services' own database URLs, where they are set (`CASEWORK_DATABASE_URL` and so on)."""
    names = {service: f"{service.upper()}_DATABASE_URL" for service in SERVICES}
    return {service: os.environ[name] for service, name in names.items() if os.environ.get(name)}
