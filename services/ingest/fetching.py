"""Asking vendors' APIs: for the answers that a webhook announced, and for whatever webhooks have lost.

    announced ─> fetches ─┬─ told ───────────────> recorded like any delivery; the announcement is done
                          ├─ withdrawn meanwhile > nothing is there to be fetched any more; the announcement is done
                          ├─ not now, not there ─> again later, a little later each time, or when the vendor says
                          ├─ token refused ──────> nothing of the source for a while: somebody has to look at it
                          └─ the last attempt ───> the announcement is quarantined; replaying it asks anew

A poll asks for what was changed since the last one, a little before it, and records all of it: what is known already is
a duplicate, and the rest is what the webhooks had lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from libs.events.retry import Backoff
from libs.events.telemetry import traceparent_or_new
from services.ingest.arrivals import api_arrival
from services.ingest.clients import APIS
from services.ingest.clients.api import Account, ApiError, Asker, NotNow, NotThere, Refused
from services.ingest.domain.deliveries import Status
from services.ingest.domain.reasons import because
from services.ingest.domain.responses import response_id
from services.ingest.intake import record_in
from services.ingest.store import fetching
from services.ingest.telemetry import FETCHED, RECONCILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from libs.events.database import Database, Tx
    from services.ingest.arrivals import DeliveryIds
    from services.ingest.clients.api import Item, VendorApi
    from services.ingest.domain.deliveries import Outcome
    from services.ingest.domain.reasons import Reason
    from services.ingest.sources import ReadySource, SourceBook
    from services.ingest.store.fetching import Fetch, Poll, StoredAccount

log: Final = structlog.get_logger()

_AT_ONCE: Final = 20
_LOAN: Final = timedelta(minutes=2)
"""Longer than the slowest vendor's twenty turns and one answer's bound take; so long a dead process keeps its own."""
_LOAN_OF_POLLS: Final = timedelta(minutes=10)
_LATER: Final = Backoff(timedelta(seconds=2), timedelta(hours=1), attempts=20)
"""About ten hours in all."""
_NOT_THERE_YET: Final = Backoff(timedelta(seconds=5), timedelta(minutes=10), attempts=8)
_POLL_LATER: Final = Backoff(timedelta(seconds=30), timedelta(hours=1))
_AFTER_REFUSAL: Final = timedelta(minutes=15)
_FAILURES_IN_A_ROW: Final = 5
_BREAK: Final = Backoff(timedelta(minutes=1), timedelta(minutes=15))
_OVERLAP: Final = timedelta(minutes=15)
"""Vendors' lists are not exact in time."""
SETTLED: Final = timedelta(minutes=10)
"""A response younger than this may still be on its way as a webhook, and is left to the next poll."""
_BATCH: Final = 500


@dataclass(slots=True)
class _Trouble:
    """How a vendor has been doing since it last gave an answer."""

    failures: int = 0
    breaks: int = 0
    until: datetime | None = None


class Fetcher:
    """What the two loops share: the sources, their accounts, and how each vendor was doing."""

    def __init__(self, database: Database, book: SourceBook, ids: DeliveryIds, client: httpx.AsyncClient) -> None:
        self._database = database
        self._book = book
        self._ids = ids
        self._client = client
        self._askers: dict[StoredAccount, Asker] = {}
        self._troubles: dict[str, _Trouble] = {}

    async def fetch_some(self) -> bool:
        """Fetch some of what was announced; whether there may be more."""
        async with self._database.transaction() as tx:
            claimed = await fetching.claim(tx, limit=_AT_ONCE, loan=_LOAN)
            accounts = await fetching.accounts(tx, list({fetch.source for fetch in claimed}))
        async with asyncio.TaskGroup() as group:
            for fetch in claimed:
                group.create_task(self._fetch(fetch, accounts.get(fetch.source)))
        return len(claimed) == _AT_ONCE

    async def _fetch(self, fetch: Fetch, account: StoredAccount | None) -> None:
        ready = await self._book.find(fetch.source)
        if ready is None:
            await self._put_off(fetch, _AFTER_REFUSAL, attempts=fetch.attempts)
            return
        api = APIS.get(ready.vendor.name)
        if account is None or api is None or api.one is None:
            await self._give_up(fetch, because("no-account"))
            return
        try:
            item = await api.one(self._asker(account, api), _account(account), fetch.vendor_response_id)
        except ApiError as error:
            await self._failed(fetch, error)
        else:
            self._troubles.pop(fetch.source, None)
            await self._take(ready, fetch, item)

    async def _take(self, ready: ReadySource, fetch: Fetch, item: Item) -> None:
        now = self._database.clock()
        arrival = api_arrival(ready, item.body, now, fetch.traceparent, self._ids.new(now))

        async def done(tx: Tx, _outcomes: Sequence[Outcome]) -> None:
            await fetching.done(tx, fetch)

        await record_in(self._database, [arrival], done)
        FETCHED.labels("fetched").inc()

    async def _failed(self, fetch: Fetch, error: ApiError) -> None:
        log.warning(
            "fetch.failed", source=fetch.source, error=type(error).__name__, why=str(error), attempt=fetch.attempts + 1
        )
        if isinstance(error, Refused):
            FETCHED.labels("refused").inc()
            await self._put_off(fetch, _AFTER_REFUSAL, attempts=fetch.attempts, whole_source=True)
            return
        if isinstance(error, NotThere) and await self._was_withdrawn(fetch):
            FETCHED.labels("withdrawn").inc()
            return
        plan = _LATER if isinstance(error, NotNow) else _NOT_THERE_YET
        wait = plan.next(fetch.attempts + 1)
        if wait is None:
            await self._give_up(fetch, because("not-fetched", error=str(error)))
            return
        FETCHED.labels("failed").inc()
        pause = self._pause(fetch.source, error)
        await self._put_off(fetch, max(wait, pause), attempts=fetch.attempts + 1, whole_source=bool(pause))

    async def _was_withdrawn(self, fetch: Fetch) -> bool:
        """Whether the response is not there because it is no more: then there is nothing left to do."""
        async with self._database.transaction() as tx:
            withdrawn = await fetching.is_withdrawn(tx, response_id(fetch.source, fetch.vendor_response_id))
            if withdrawn:
                await fetching.done(tx, fetch)
        return withdrawn

    def _pause(self, source: str, error: ApiError) -> timedelta:
        """How long nothing of the source is asked for: as the vendor says, or because it fails again and again."""
        if isinstance(error, NotThere):
            return timedelta()
        trouble = self._troubles.setdefault(source, _Trouble())
        trouble.failures += 1
        asked = error.after if isinstance(error, NotNow) else None
        if asked is not None:
            return asked
        if trouble.failures < _FAILURES_IN_A_ROW:
            return timedelta()
        now = self._database.clock()
        if trouble.until is None or trouble.until <= now:
            # What else was under way when it broke fails of the same trouble, which does not make it longer.
            trouble.breaks += 1
            trouble.until = now + (_BREAK.next(trouble.breaks) or _BREAK.longest)
        return trouble.until - now

    async def _put_off(self, fetch: Fetch, wait: timedelta, *, attempts: int, whole_source: bool = False) -> None:
        async with self._database.transaction() as tx:
            due_at = tx.now + wait
            await fetching.put_off(tx, fetch, due_at=due_at, attempts=attempts)
            if whole_source:
                await fetching.put_off_source(tx, fetch.source, due_at=due_at)

    async def _give_up(self, fetch: Fetch, reason: Reason) -> None:
        FETCHED.labels("given_up").inc()
        log.error("fetch.given_up", source=fetch.source, delivery_id=str(fetch.delivery_id), why=reason)
        async with self._database.transaction() as tx:
            await fetching.give_up(tx, fetch, reason)

    # Reconciliation

    async def poll_one(self) -> bool:
        """Ask one vendor for what webhooks may have lost; whether another source may be due."""
        async with self._database.transaction() as tx:
            poll = await fetching.claim_poll(tx, loan=_LOAN_OF_POLLS)
            if poll is None:
                return False
            account = (await fetching.accounts(tx, [poll.source])).get(poll.source)
        ready = await self._book.find(poll.source)
        api = None if ready is None else APIS.get(ready.vendor.name)
        if ready is None or api is None or account is None or account.poll_every is None:
            await self._end(poll, _AFTER_REFUSAL, "the source has no account at the vendor's API")
            return True
        try:
            await self._poll(poll, ready, api, account)
        except ApiError as error:
            log.warning("poll.failed", source=poll.source, error=type(error).__name__, why=str(error))
            wait = _AFTER_REFUSAL if isinstance(error, Refused) else _POLL_LATER.next(poll.attempts + 1)
            asked = error.after if isinstance(error, NotNow) else None
            await self._end(poll, asked or wait or _POLL_LATER.longest, f"{type(error).__name__}: {error}")
        else:
            await self._end(poll, account.poll_every, None)
        return True

    async def _poll(self, poll: Poll, ready: ReadySource, api: VendorApi, account: StoredAccount) -> None:
        settled = self._database.clock() - SETTLED
        asker = self._asker(account, api)
        async for page in api.since(asker, _account(account), poll.watermark - _OVERLAP):
            old_enough = [item for item in page if item.changed_at <= settled]
            for first in range(0, len(old_enough), _BATCH):
                await self._reconcile(ready, old_enough[first : first + _BATCH])

    async def _reconcile(self, ready: ReadySource, items: Sequence[Item]) -> None:
        now = self._database.clock()
        traceparent = traceparent_or_new(None)
        arrivals = [api_arrival(ready, item.body, now, traceparent, self._ids.new(now)) for item in items]
        latest: datetime = max(item.changed_at for item in items)

        async def note(tx: Tx, outcomes: Sequence[Outcome]) -> None:
            missed = sum(outcome.status is Status.ACCEPTED for outcome in outcomes)
            await fetching.polled(tx, ready.source.name, watermark=latest, seen=len(items), missed=missed)

        outcomes = await record_in(self._database, arrivals, note)
        missed = sum(outcome.status is Status.ACCEPTED for outcome in outcomes)
        RECONCILED.labels("missed").inc(missed)
        RECONCILED.labels("known").inc(len(items) - missed)
        if missed:
            log.warning("poll.webhooks_had_lost", source=ready.source.name, responses=missed)

    async def _end(self, poll: Poll, wait: timedelta, error: str | None) -> None:
        async with self._database.transaction() as tx:
            attempts = 0 if error is None else poll.attempts + 1
            await fetching.end_poll(tx, poll.source, due_at=tx.now + wait, attempts=attempts, error=error)

    def _asker(self, account: StoredAccount, api: VendorApi) -> Asker:
        # By all of the account: with another token begins another asker.
        asker = self._askers.get(account)
        if asker is None:
            asker = self._askers[account] = Asker(self._client, _account(account), api)
        return asker


def _account(stored: StoredAccount) -> Account:
    return Account(stored.base_url, stored.token, stored.survey)
