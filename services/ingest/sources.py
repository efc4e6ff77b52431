"""The sources in use, ready to check and understand deliveries, remembered for a few seconds per process."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

import structlog

from services.ingest.domain.signature import Secret, UnusableSecret, secret_of
from services.ingest.domain.verifying import check_of
from services.ingest.store.sources import enabled_sources
from services.ingest.vendors import VENDORS
from services.ingest.vendors.generic import OWN_SHAPE
from services.ingest.vendors.understanding import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from libs.events.database import Database
    from services.ingest.domain.sources import Source
    from services.ingest.domain.verifying import Check
    from services.ingest.vendors.description import Vendor

log: Final = structlog.get_logger()

_FRESH_SECONDS: Final = 2.0
_DOUBT_SECONDS: Final = 0.25
_NAMES: Final = 256
"""Of headers, remembered for a source."""
_SECRET_HEADER: Final = re.compile(r"auth|cookie|token|secret|signature|api-?key|hmac|password|credential")


@dataclass(frozen=True, slots=True)
class ReadySource:
    """A source with its vendor, its keys and its readers, made once per look at the database."""

    source: Source
    vendor: Vendor
    check: Check
    """Of its secrets that are of use."""
    reader: Reader
    own_shape: Reader
    fetched: Reader
    kept_name: Callable[[bytes], str | None]
    """The name of a header as it is kept; None where it proves who somebody is."""

    @classmethod
    def of(cls, source: Source, vendor: Vendor) -> ReadySource:
        """The source as it is used. A secret that is of no use any more is left out, and said."""
        secrets: list[Secret] = []
        for stored in source.secrets:
            try:
                secrets.append(secret_of(vendor.authentication, stored.text, stored.valid_until))
            except UnusableSecret as error:
                log.warning("source.secret_unusable", source=source.name, why=str(error))
        return cls(
            source,
            vendor,
            check_of(vendor.authentication, secrets),
            Reader(vendor, source, needs_score=True),
            Reader(OWN_SHAPE, source),
            Reader(vendor.fetched or vendor, source, needs_score=True),
            lru_cache(_NAMES)(partial(_kept_name, vendor.authentication.secret_headers)),
        )


class SourceBook:
    """All enabled sources. One look at the database gives all of them, so that unknown names cost nothing.

    What was changed elsewhere (a rotated secret, a deleted source) is noticed within `fresh_seconds`. A delivery that
    would be refused is worth a newer look: `doubt_seconds` bounds how many such looks a stream of forgeries can cause.
    """

    def __init__(
        self,
        database: Database,
        *,
        fresh_seconds: float = _FRESH_SECONDS,
        doubt_seconds: float = _DOUBT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._fresh_seconds = fresh_seconds
        self._doubt_seconds = doubt_seconds
        self._clock = clock
        self._ready: dict[str, ReadySource] = {}
        self._looked_at: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def find(self, name: str) -> ReadySource | None:
        """The source, as it was at most `fresh_seconds` ago."""
        if self._older_than(self._fresh_seconds):
            await self._look()
        return self._ready.get(name)

    def at_hand(self) -> Mapping[str, ReadySource] | None:
        """All sources without waiting for a look at the database; None where one is due.

        When half of that time is over somebody looks, so that under traffic none is ever due.
        """
        if self._older_than(self._fresh_seconds):
            return None
        if self._looking is None and self._older_than(self._fresh_seconds / 2):
            self._begin_to_look()
        return self._ready

    @property
    def is_sure(self) -> bool:
        """Whether the last look was a moment ago: then a delivery may be refused without another one."""
        return not self._older_than(self._doubt_seconds)

    async def look_again(self) -> bool:
        """Look anew unless that was done a moment ago; whether what is known may have changed."""
        if self.is_sure:
            return False
        await self._look()
        return True

    def forget(self) -> None:
        """Look anew before the next delivery: something was changed by this process itself."""
        self._looked_at = None

    def _older_than(self, seconds: float) -> bool:
        return self._looked_at is None or self._clock() - self._looked_at >= seconds

    async def _look(self) -> None:
        # All who need it share one look; a request that goes away does not take it along.
        await asyncio.shield(self._looking or self._begin_to_look())

    def _begin_to_look(self) -> asyncio.Task[None]:
        self._looking = asyncio.create_task(self._read())
        self._looking.add_done_callback(self._looked)
        return self._looking

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # whoever waits gets it too; a look that nobody waits for any more must not warn

    async def _read(self) -> None:
        asked_at = self._clock()
        async with self._database.reading() as tx:
            sources = await enabled_sources(tx)
        ready: dict[str, ReadySource] = {}
        for source in sources:
            vendor = VENDORS.get(source.vendor)
            if vendor is None:
                log.error("source.vendor_unknown", source=source.name, vendor=source.vendor)
            else:
                ready[source.name] = ReadySource.of(source, vendor)
        self._ready = ready
        self._looked_at = asked_at


def _kept_name(secret_headers: frozenset[str], name: bytes) -> str | None:
    kept = name.decode("latin-1")
    return None if kept in secret_headers or _SECRET_HEADER.search(kept) is not None else kept
