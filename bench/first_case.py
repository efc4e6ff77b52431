"""From a webhook's sending to its case over REST, at a steady rate: who is told of the case asks for it at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from aiokafka import AIOKafkaConsumer

from bench.load import Load
from libs.events.contracts.cases import CaseJoined, CaseOpened
from libs.events.topics import CASEWORK_CASES

if TYPE_CHECKING:
    from bench.survey import Survey
    from bench.system import System

_IN_A_CASE: Final = frozenset({CaseOpened.TYPE.encode(), CaseJoined.TYPE.encode()})
"""Who was lukewarm in a wave before may have a light case, which the answer joins and makes an ordinary one."""
_CONNECTIONS: Final = 32
_READERS: Final = 4
_PATIENCE_S: Final = 60.0


class _Found(msgspec.Struct):
    customer_id: str
    opened_at: str


class _Page(msgspec.Struct):
    items: list[_Found]


@dataclass(frozen=True, slots=True)
class Latencies:
    """In milliseconds, of each detractor's webhook, in the order in which their cases were read."""

    case: list[float]
    answer: list[float]
    """Of each webhook, to its 202."""


async def latencies(system: System, survey: Survey, *, rate: float, seconds: float) -> Latencies:
    """Send at `rate` for so long, and read each case as soon as its event is there."""
    wave = survey.answers(int(rate * seconds))
    places = {customer: place for place, customer in wave.detractors.items()}
    load = Load(iter(wave.requests), rate=rate)
    readers = await _Readers.connect(system)
    consumer = AIOKafkaConsumer(
        CASEWORK_CASES.name,
        bootstrap_servers=system.addresses.bootstrap_servers,
        group_id=None,
        auto_offset_reset="latest",
        fetch_max_wait_ms=5,  # else records of one partition wait for the end of a fetch of the others
    )
    await consumer.start()
    took: list[float] = []

    async def read(customer: str) -> None:
        await readers.case_of(customer)
        took.append(time.perf_counter() - load.began - places[customer] / rate)

    async def follow() -> None:
        reading: dict[str, asyncio.Task[None]] = {}
        while len(reading) < len(places):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    customer = record.key.decode()
                    # Light cases of others are not waited for.
                    if customer in places and customer not in reading and dict(record.headers)["ce_type"] in _IN_A_CASE:
                        reading[customer] = asyncio.create_task(read(customer))
        await asyncio.gather(*reading.values())

    try:
        await consumer.seek_to_end()
        following = asyncio.ensure_future(follow())
        await load.run("127.0.0.1", system.ports.ingest, _CONNECTIONS, seconds)
        await asyncio.wait_for(following, _PATIENCE_S)
    finally:
        await consumer.stop()
        readers.close()
    if set(load.statuses) != {"202"}:
        raise RuntimeError(f"not all were accepted: {load.statuses}")
    return Latencies([each * 1000 for each in took], [each * 1000 for each in load.latencies])


class _Readers:
    """Kept connections to casework, by as little code as can be: the client is not what is measured."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    async def connect(cls, system: System) -> _Readers:
        readers = cls(await system.key("casework"))
        for _ in range(_READERS):
            pair = await asyncio.open_connection("127.0.0.1", system.ports.casework)
            readers._free.put_nowait(pair)
            readers._writers.append(pair[1])
        return readers

    async def case_of(self, customer: str) -> _Found:
        """The customer's case; raises LookupError where there is none."""
        reader, writer = await self._free.get()
        path = f"/v1/cases?customer={customer}&limit=1"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: casework\r\nauthorization: Bearer {self._key}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        self._free.put_nowait((reader, writer))
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(body.decode())
        found = msgspec.json.decode(body, type=_Page).items
        if not found:
            raise LookupError(customer)
        return found[0]

    def close(self) -> None:
        """End them."""
        for writer in self._writers:
            writer.close()
