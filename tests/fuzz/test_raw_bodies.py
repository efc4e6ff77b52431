"""Bodies that break every rule, made of every vendor's sample and properly signed: never a 5xx, one verdict for each.

A real process on a real PostgreSQL. `make fuzz` sends thousands of them; in the suite there are fewer.
"""

import asyncio
import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol
from urllib.parse import quote_from_bytes

import asyncpg
import httpx
import pytest

from deploy.local.ports import free_ports, is_open
from faults.posting import NoAnswer, post
from libs.events.database import Database
from libs.webapi import keys
from services.ingest.vendors import VENDORS
from tests.mutations import FORM_MUTATIONS, JSON_MUTATIONS, MULTIPART_MUTATIONS, Mutation
from tests.vendor_signing import CONTENT_TYPE, CSAT, FORM, JSON, MAPS, SECRET, SIGNED, hmac_base64, secret_of, token

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "unit" / "ingest" / "samples"
BODIES = int(os.environ.get("OTKLIK_FUZZ_EXAMPLES", "5"))
SEED = 20260302
LARGEST = 1_048_576
ANSWER_S = 60.0
ENDLESS = ("generic", "jotform", "wootric")
"""Whose first body has ten megabytes and no length: one for each kind of body."""
MEMORY_MB = 250
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DELIVERY_ID = re.compile(rb'("(?:event_id|eventId|messageId)"\s*:\s*)"[^"]*"')
THIN = {"surveymonkey": lambda body, _now: {"sm-signature": hmac_base64(body, "sha1")}, "qualtrics": lambda *_: {}}
SIGN: dict[str, Callable[[bytes, datetime], dict[str, str]]] = {**SIGNED, **THIN, "generic-token": token}
TYPES = {**CONTENT_TYPE, "surveymonkey": "application/vnd.surveymonkey.response.v1+json", "qualtrics": FORM}


class Databases(Protocol):
    """A throw-away server."""

    def create_for_service(self, service: str) -> str: ...
    def drop(self, url: str) -> None: ...


@dataclass(frozen=True)
class Door:
    """Ingest, running: where it is, its database, its log and its process."""

    url: str
    database: str
    key: str
    log: Path
    process: subprocess.Popen[bytes]


@pytest.fixture
def door(postgres: Databases, tmp_path: Path) -> Iterator[Door]:
    database = postgres.create_for_service("ingest")
    [port] = free_ports(1)
    log = tmp_path / "ingest.log"
    environment = {**os.environ, "INGEST_DATABASE_URL": database, "INGEST_PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest", "api"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 60
    while not is_open(port):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield Door(f"http://127.0.0.1:{port}", database, asyncio.run(a_key(database)), log, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    postgres.drop(database)


async def a_key(url: str) -> str:
    database = Database.connect(url)
    try:
        async with database.transaction() as tx:
            return await keys.create_key(tx, name="fuzz", scopes=("sources:write",))
    finally:
        await database.close()


@pytest.fixture
async def operator(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {door.key}"}
    async with httpx.AsyncClient(base_url=door.url, headers=headers, timeout=ANSWER_S) as client:
        yield client


def test_every_vendor_has_a_way_to_sign() -> None:
    assert set(SIGN) == set(VENDORS)


@pytest.mark.timeout(3600)
async def test_no_body_makes_ingest_fail_or_change_its_mind_and_none_unsigned_leaves_a_row(
    door: Door, operator: httpx.AsyncClient, record_property: Callable[[str, object], None]
) -> None:
    await asyncio.gather(*(put_sources(operator, vendor) for vendor in SIGN))
    runs = [Vendor(door, name) for name in sorted(SIGN)]
    await asyncio.gather(*(run.send_all(BODIES) for run in runs))
    answers = sum((run.answers for run in runs), Counter[int]())
    record_property("sent", f"{BODIES * len(runs)} bodies, {answers.total()} requests, {dict(sorted(answers.items()))}")
    assert set(answers) <= {202, 401, 413}, answers
    assert answers[202]
    connection = await asyncpg.connect(door.database)
    rows = await connection.fetch("SELECT source, id, body_hash, body, status, reason FROM deliveries ORDER BY id")
    events = await connection.fetchval("SELECT count(*) FROM outbox")
    await connection.close()
    assert {str(row["id"]) for row in rows} == set().union(*(run.kept for run in runs))
    unsigned = set().union(*(run.unsigned for run in runs))
    assert not [row["source"] for row in rows if row["body_hash"] in unsigned]
    assert all(hashlib.sha256(row["body"]).digest() == row["body_hash"] for row in rows)
    # What nobody foresaw is kept, too; but somebody should have.
    failed = [(row["source"], row["reason"]) for row in rows if (row["reason"] or "").startswith("reading it failed")]
    assert not failed
    for run in runs:
        one, other = (
            Counter(
                (row["body_hash"], row["status"], ID.sub("…", row["reason"] or ""))
                for row in rows
                if row["source"] == each
            )
            for each in run.sources
        )
        assert one == other
    assert events
    assert not [line for line in door.log.read_text(encoding="utf-8").splitlines() if '"level": "error"' in line]
    assert door.process.poll() is None
    assert (await operator.get("/livez")).status_code == 200
    assert memory_mb(door.process.pid) < MEMORY_MB


async def put_sources(operator: httpx.AsyncClient, vendor: str) -> None:
    instrument = {
        "metric": "nps",
        "question": "How likely are you to recommend us?",
        "scale_min": 0,
        "scale_max": 10,
        "kind": "transactional",
        "channel": "email",
    }
    body = {
        "vendor": vendor,
        "program": "fuzz",
        "instrument": instrument | (CSAT if vendor == "chatwoot" else {}),
        "field_map": MAPS.get(vendor, {"score": {"question": "1"}} if vendor in THIN else {}),
        "secret": SECRET if vendor in THIN else secret_of("zenloop" if vendor == "generic-token" else vendor),
    }
    for name in (f"{vendor}-1", f"{vendor}-2"):
        answer = await operator.put(f"/v1/sources/{name}", json=body)
        assert answer.status_code == 201, answer.text


class Vendor:
    """One vendor's sample, and what becomes of what is made of it: at two sources, in the same order."""

    def __init__(self, door: Door, name: str) -> None:
        self.name = name
        self.sources = (f"{name}-1", f"{name}-2")
        self.answers: Counter[int] = Counter()
        self.kept: set[str] = set()
        self.unsigned: set[bytes] = set()
        self._url = door.url
        self._random = Random(f"{SEED} {name}")
        [file] = SAMPLES.glob(f"{'generic' if name == 'generic-token' else name}.*")
        self._sample = file.read_bytes()
        self._mutations: tuple[Mutation, ...] = {
            ".form": FORM_MUTATIONS,
            ".multipart": MULTIPART_MUTATIONS,
        }.get(file.suffix, JSON_MUTATIONS)

    async def send_all(self, amount: int) -> None:
        for number in range(amount):
            body = self._body()
            chunked = self._random.random() < 0.1
            if number == 0 and self.name in ENDLESS:
                body, chunked = body + b" " * (10 * LARGEST), True
            statuses = [await self._twice(source, body, chunked=chunked) for source in self.sources]
            assert statuses[0] == statuses[1], (self.name, body[:500], statuses)
            await self._without_a_signature(body)

    def _body(self) -> bytes:
        if self.name != "qualtrics" or self._random.random() < 0.3:
            # One id for one body: another body under a known one would be set aside unread.
            sample = DELIVERY_ID.sub(rb'\1"%d"' % self._random.getrandbits(60), self._sample)
            return self._random.choice(self._mutations)(self._random, sample)
        # The announcement inside of the form is JSON, and is what is signed.
        message = self._random.choice(JSON_MUTATIONS)(
            self._random, b'{"Status": "Complete", "ResponseID": "R_1", "CompletedDate": "2026-03-02 08:28:11"}'
        )
        signature = hmac.new(SECRET.encode(), message, "sha512").hexdigest()
        return f"HMAC={signature}&MSG={quote_from_bytes(message)}&Topic=t".encode()

    async def _twice(self, source: str, body: bytes, *, chunked: bool) -> str:
        """What it is told to be; the second time it is told the same, or that it is known."""
        first, again = [await self._post(source, body, self._signed(body), chunked=chunked) for _ in range(2)]
        assert first["status_code"] == again["status_code"], (self.name, body[:500], first, again)
        if first["status_code"] != 202:
            return str(first["status_code"])
        assert again["status"] == "duplicate", (self.name, body[:500], first, again)
        self.kept |= {first["delivery_id"], again["delivery_id"]}
        told: str = first["status"]
        return told

    async def _without_a_signature(self, body: bytes) -> None:
        forged = body + b"%d" % self._random.getrandbits(60)  # which nobody signs
        headers = self._signed(forged)
        for name in SIGN[self.name](forged, datetime.now(UTC)):
            if name.endswith(("signature", "hmac", "token")):
                headers[name] = headers[name][:-4] + ("AAA=" if headers[name][-4:] != "AAA=" else "BBB=")
        if self.name == "qualtrics":
            forged = forged.replace(b"HMAC=", b"HMAC=0")
        self.unsigned.add(hashlib.sha256(forged).digest())
        answer = await self._post(self.sources[0], forged, headers, chunked=False)
        assert answer["status_code"] in {401, 413}, (self.name, forged[:500], answer)

    def _signed(self, body: bytes) -> dict[str, str]:
        return {"content-type": TYPES.get(self.name, JSON), **SIGN[self.name](body, datetime.now(UTC))}

    async def _post(self, source: str, body: bytes, headers: dict[str, str], *, chunked: bool) -> dict[str, Any]:
        url = f"{self._url}/v1/webhooks/{source}"
        if chunked:
            status, content = await post_chunked(url, body, headers)
        else:
            try:
                answer = await post(url, body, headers, within_s=ANSWER_S)
            except NoAnswer:
                # It was refused before all of it was read, and the rest of it broke the line.
                assert len(body) > LARGEST
                status, content = 413, {}
            else:
                status, content = answer.status, answer.json()
        self.answers[status] += 1
        return {"status_code": status, **({} if status != 202 else content)}


async def post_chunked(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Post without saying how long the body is."""

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(0, len(body), 60_000):
            yield body[place : place + 60_000]

    async with httpx.AsyncClient(timeout=ANSWER_S) as client:
        try:
            answer = await client.post(url, content=pieces(), headers=headers)
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            assert len(body) > LARGEST
            return 413, {}
    return answer.status_code, answer.json()


def memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) // 1024
