"""Every operation of every service's OpenAPI, asked what fits its schema and what does not: no 5xx, as documented.

Real processes on a real PostgreSQL. `make fuzz` makes some ten thousand requests; in the suite there are fewer.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.local.ports import free_ports, is_open
from libs.events.database import Database
from libs.webapi import keys

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("OTKLIK_FUZZ_EXAMPLES", "5"))
SCOPES = {
    "ingest": ("sources:read", "sources:write", "responses:write", "deliveries:read", "deliveries:write"),
    "scoring": ("customers:read", "customers:write", "rules:read", "rules:write", "metrics:read"),
    "casework": ("cases:read", "cases:write", "settings:read", "settings:write"),
    "notify": ("messages:read", "messages:write"),
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Databases(Protocol):
    """A throw-away server."""

    def create_for_service(self, service: str) -> str: ...
    def drop(self, url: str) -> None: ...


@dataclass(frozen=True)
class Served:
    """A service that runs."""

    name: str
    url: str
    key: str


@pytest.fixture(scope="module", params=sorted(SCOPES))
def served(
    request: pytest.FixtureRequest, postgres: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    name: str = request.param
    url = postgres.create_for_service(name)
    [port] = free_ports(1)
    environment = {
        **os.environ,
        f"{name.upper()}_DATABASE_URL": url,
        f"{name.upper()}_PORT": str(port),
        "NOTIFY_LINK_SECRET": secrets.token_urlsafe(40),
        "CASEWORK_ATTACHMENTS_DIR": str(tmp_path_factory.mktemp("attachments")),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{name}", "api"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not is_open(port):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield Served(name, f"http://127.0.0.1:{port}", asyncio.run(a_key(url, name)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    postgres.drop(url)


async def a_key(url: str, name: str) -> str:
    database = Database.connect(url)
    try:
        async with database.transaction() as tx:
            return await keys.create_key(tx, name="fuzz", scopes=SCOPES[name])
    finally:
        await database.close()


@pytest.mark.timeout(3600)
def test_nothing_that_is_sent_makes_a_service_fail_or_answer_what_it_does_not_document(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    answers: Counter[int] = Counter()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        answers += fuzz(result.ok(), served.key)
    assert answers
    record_property("sent", f"{answers.total()} cases, {dict(sorted(answers.items()))}")


@schemathesis.serializer("message/rfc822")
def _as_mail(_ctx: object, value: object) -> bytes:
    """A mail is bytes, and nothing keeps anybody from sending others."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def fuzz(operation: APIOperation[Any, Any, Any, Any], key: str) -> Counter[int]:
    """Ask one operation; how often it answered what."""
    answers: Counter[int] = Counter()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Case[Any]) -> None:
        response = case.call(headers={"Authorization": f"Bearer {key}"})
        answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    run: Callable[[], None] = call
    run()
    return answers
