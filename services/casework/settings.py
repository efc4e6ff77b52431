"""What casework takes from the environment, and the only place that looks there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # a name may also be a folder or a path
        raise ValueError("no time zone such as: Europe/Moscow") from error
    return name


class Settings(BaseSettings):
    """Variables with the prefix `CASEWORK_`, and the address of Kafka, which all services share."""

    model_config = SettingsConfigDict(env_prefix="CASEWORK_", frozen=True, hide_input_in_errors=True)

    database_url: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8003
    pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    clock_batch: Annotated[int, Field(ge=1, le=1000)] = 500
    """How many cases one transaction of the clock loop takes at most."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "Europe/Moscow"
    """The company's, by whose clock a month ends."""
    attachments_dir: Path | None = None
    """Where files of cases are kept: one folder for all processes, on a disk that is backed up. None: nobody can attach
    any."""
    attachment_bytes: Annotated[int, Field(ge=1, le=2**31)] = 20_000_000
    """How large one file of a case is at most."""
    attachments_per_case: Annotated[int, Field(ge=1, le=1000)] = 50
    kafka_bootstrap_servers: Annotated[str, Field(validation_alias="OTKLIK_KAFKA_BOOTSTRAP_SERVERS")] = "127.0.0.1:9092"
