"""What digests do by themselves: are made when a week or a month has ended, and told to everybody who works here.

Made: everything is asked for first, outside of any transaction; what cannot be had makes the digest wait. Then it is
frozen, once, whoever else is at it. Told: page by page, each one transaction with the messages of the page and the
position after it, so that a kill at any point repeats or loses nobody. What it says is not in the messages: it is put
in when one is sent, so that words of customers who were erased meanwhile are in no mail that goes out later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

import structlog

from libs.events.contracts.cases import Employee
from libs.events.crashpoint import crashpoint
from services.notify import announcements
from services.notify.digest_reports import ReportsAwayError
from services.notify.digest_words import encoded
from services.notify.domain.contacts import PURPOSES, choice_key
from services.notify.domain.digests import Kind, last_period
from services.notify.domain.messages import Notice, Status, message_id
from services.notify.store import digests, ledger
from services.notify.telemetry import DIGEST_WAITS
from services.notify.texts import zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageChannel, SuppressionReason
    from libs.events.database import Database, Tx
    from services.notify.digest_reports import Reports
    from services.notify.domain.digests import Colleague, Period
    from services.notify.store.delivery import Claimed
    from services.notify.store.digests import Telling

log: Final = structlog.get_logger()

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_LISTED: Final = 500
_CHANNELS: Final[tuple[MessageChannel, ...]] = ("email", "chat")


class Digests:
    """Makes digests and tells them."""

    def __init__(self, database: Database, reports: Reports, *, time_zone: str) -> None:
        """`time_zone` is the company's."""
        self._database = database
        self._reports = reports
        self._zone = time_zone
        self._where = zone(time_zone, time_zone)

    async def step(self) -> bool:
        """Tell the next page of what is being told, and make what is due; whether to come again at once."""
        async with self._database.reading() as tx:
            telling = await digests.being_told(tx)
            due = await self._due(tx)
        told = [await self._tell(each) for each in telling]
        made = [await self._make(period) for period in due]
        return any(told) or any(made)

    async def _due(self, tx: Tx) -> list[Period]:
        found = []
        for kind in KINDS:
            period = last_period(kind, tx.now, self._where)
            late = (tx.now - period.due_at(self._where)).total_seconds()
            _, ended_at = period.bounds(self._where)
            if late >= 0 and ended_at > await digests.begin(tx) and not await digests.is_there(tx, period):
                found.append(period)
            else:
                DIGEST_WAITS.labels(kind).set(0)
        return found

    async def _make(self, period: Period) -> bool:
        """Freeze a digest; False where it has to wait, or somebody else was first."""
        try:
            content, quotes = await self._reports.of(period, self._where)
        except ReportsAwayError as error:
            late = (self._database.clock() - period.due_at(self._where)).total_seconds()
            DIGEST_WAITS.labels(period.kind).set(max(late, 1.0))
            log.warning("digest.waits", kind=period.kind, starts=period.starts.isoformat(), reason=str(error))
            return False
        async with self._database.transaction() as tx:
            frozen = await digests.freeze(tx, period, self._zone, content, quotes)
            crashpoint("notify.digests.before_freeze")
        DIGEST_WAITS.labels(period.kind).set(0)
        if frozen:
            log.info("digest.frozen", kind=period.kind, starts=period.starts.isoformat())
        return frozen

    async def _tell(self, seen: Telling) -> bool:
        """Put the next page of people into the ledger; False where it has to wait, or somebody else is at it."""
        page: list[Colleague] = []
        following: str | None = None
        if seen.stage == "people":
            try:
                page, following = await self._reports.people(seen.position)
            except ReportsAwayError as error:
                log.warning("digest.people_wait", digest_id=str(seen.id), reason=str(error))
                return False
        async with self._database.transaction() as tx:
            locked = await digests.lock(tx, seen.id)
            if locked != seen:
                return False
            if seen.stage == "lists":
                page, following = await digests.listed(tx, seen.id, seen.position, limit=_LISTED)
            stage = seen.stage if following is not None else "lists" if seen.stage == "people" else "told"
            await _write(tx, seen.id, seen.kind, page)
            await digests.move(tx, seen.id, stage, following)
            crashpoint("notify.digests.before_commit")
        if stage == "told":
            log.info("digest.told", digest_id=str(seen.id), kind=seen.kind)
        return stage != "told"


async def _write(tx: Tx, digest_id: UUID, kind: Kind, page: Sequence[Colleague]) -> None:
    """Put the messages of a page into the ledger, and announce those that were not there."""
    noted: list[tuple[Notice, Status, SuppressionReason | None]] = []
    for each in page:
        notice = _notice(digest_id, kind, each)
        reason = notice.hold(None)
        noted.append((notice, Status.QUEUED if reason is None else Status.SUPPRESSED, reason))
    if not noted:
        return
    written = await ledger.write(tx, noted, profile_by=tx.now)
    for notice, _, reason in noted:
        if notice.id not in written:
            continue
        if reason is None:
            announcements.queued(tx, notice)
        else:
            announcements.suppressed(tx, notice, reason)


def _notice(digest_id: UUID, kind: Kind, colleague: Colleague) -> Notice:
    recipient = f"employee:{colleague.id}"
    language = cast("Language", colleague.language)
    return Notice(
        id=message_id(digest_id, recipient),
        cause_id=digest_id,
        kind="digest",
        recipient=recipient,
        case_id=None,
        case_version=0,
        customer_id=None,
        employee_id=colleague.id,
        employee=Employee(employee_id=colleague.id, name=colleague.name, email=colleague.email, language=language),
        facts={
            "period": kind,
            "role": colleague.role,
            "parts": " ".join(colleague.parts) or None,
            "cases": colleague.cases,
            "cases_overdue": colleague.cases_overdue,
            "tasks": colleague.tasks,
            "tasks_overdue": colleague.tasks_overdue,
        },
    )


async def fill_in(tx: Tx, claimed: Sequence[Claimed]) -> list[Claimed]:
    """Give digests among claimed messages what they say as of now, and the word of those who want none."""
    ours = [each for each in claimed if each.entry.kind == "digest"]
    if not ours:
        return list(claimed)
    refused = await digests.who_refused(tx, {each.entry.employee_id or "" for each in ours})
    documents = {id_: encoded(each) for id_, each in (await digests.find(tx, {m.entry.cause_id for m in ours})).items()}
    no_more = {choice_key(channel, PURPOSES["digest"]): False for channel in _CHANNELS}
    filled = []
    for each in claimed:
        if each.entry.kind != "digest":
            filled.append(each)
            continue
        each.facts["digest"] = documents[each.entry.cause_id]
        is_refused = (each.entry.employee_id or "", cast("Kind", each.facts["period"])) in refused
        filled.append(each._replace(choices=no_more) if is_refused else each)
    return filled
