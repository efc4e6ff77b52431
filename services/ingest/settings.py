"""What ingest takes from the environment, and the only place that looks there."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _proxies(written: str) -> str:
    for network in _split(written):
        ip_network(network)  # a ValueError says what is wrong with it
    return written


def _split(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]


class Settings(BaseSettings):
    """Variables with the prefix `INGEST_`, and the address of Kafka, which all services share."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True, hide_input_in_errors=True)

    database_url: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8001
    pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    webhook_bytes: Annotated[int, Field(ge=1024, le=64 * 1_048_576, description="The largest delivery.")] = 1_048_576
    waiting_deliveries: Annotated[int, Field(ge=1, description="How many may wait for their transaction.")] = 4_000
    waiting_bytes: Annotated[int, Field(ge=1024, description="And how many bytes of bodies.")] = 32 * 1_048_576
    keep_days: Annotated[
        int, Field(ge=30, le=3650, description="How long contents of deliveries are kept, where a source says nothing.")
    ] = 400
    trusted_proxies: Annotated[
        str,
        AfterValidator(_proxies),
        Field(description="Whose X-Forwarded-For tells the sender's address: networks, with commas; empty: nobody's."),
    ] = ""
    plain_http: Annotated[bool, Field(description="Whether a vendor's API may be asked without TLS.")] = False
    kafka_bootstrap_servers: Annotated[str, Field(validation_alias="OTKLIK_KAFKA_BOOTSTRAP_SERVERS")] = "127.0.0.1:9092"

    @property
    def proxies(self) -> list[str]:
        """The trusted proxies, one by one."""
        return _split(self.trusted_proxies)
