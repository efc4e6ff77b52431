"""What scoring takes from the environment, and the only place that looks there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.scoring.domain.privacy import PRIVACY_THRESHOLD


class Settings(BaseSettings):
    """Variables with the prefix `SCORING_`, and the address of Kafka, which all services share."""

    model_config = SettingsConfigDict(env_prefix="SCORING_", frozen=True, hide_input_in_errors=True)

    database_url: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8002
    privacy_threshold: Annotated[int, Field(ge=1, le=1000)] = PRIVACY_THRESHOLD
    """How many have to have answered for a group's numbers to be shown."""
    pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    silence_after_days: Annotated[int, Field(ge=1, le=365)] = 14
    """After so many days without an answer, an important customer's invitation counts as silence."""
    kafka_bootstrap_servers: Annotated[str, Field(validation_alias="OTKLIK_KAFKA_BOOTSTRAP_SERVERS")] = "127.0.0.1:9092"
