"""What follows from a mail that came back: who is gone, or complained, is not written to again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid5

import structlog

from libs.events.errors import Unavailable
from services.notify import announcements
from services.notify.domain.contacts import choice_key
from services.notify.domain.returns import SOFT_AT_MOST, SOFT_WITHIN
from services.notify.store import contacts, returns, suppressions
from services.notify.store.suppressions import Addition
from services.notify.telemetry import RETURNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from libs.events.contracts.messages import Purpose
    from libs.events.database import Tx
    from services.notify.domain.messages import Entry
    from services.notify.domain.returns import Report
    from services.notify.store.returns import Returned

log: Final = structlog.get_logger()

_DISPENSABLE: Final[tuple[Purpose, ...]] = ("courtesy", "news")


async def take(tx: Tx, told: Sequence[Report]) -> list[Returned]:
    """Record what came back; told twice, it takes effect once. Raises Unavailable: to be told again later."""
    if not told:
        return []
    if await returns.any_under_way(tx, [report.message_id for report in told]):
        # A server may refuse faster than we note that it took the mail; the outcome would overwrite what is noted now.
        raise Unavailable("a mail came back before its sending was noted")
    returned = await returns.note(tx, told)
    soft = [each for each in returned if each.bounce == "soft"]
    worn_out = await returns.too_soft(tx, soft, within=SOFT_WITHIN, at_most=SOFT_AT_MOST)
    additions = {each.mark: addition for each in returned if (addition := _addition(tx, each, worn_out)) and each.mark}
    await suppressions.add_all(tx, list(additions.values()))
    for each in returned:
        entry = each.entry
        if each.was_doubtful:
            announcements.sent(tx, entry)
        announcements.bounced(tx, entry, each.bounce, each.code)
        RETURNS.labels(each.bounce).inc()
        log.warning("message.bounced", message_id=str(entry.id), kind=entry.kind, bounce=each.bounce, code=each.code)
        if each.bounce == "complaint" and entry.customer_id is not None:
            await _unsubscribe(tx, entry, entry.customer_id)
    return returned


async def refused(tx: Tx, gone: Mapping[Entry, str]) -> None:
    """Record addresses that a mail server said do not exist, while we were sending: entry → code."""
    if not gone:
        return
    marks = await returns.marks(tx, [entry.id for entry in gone])
    additions = [
        Addition(
            id=uuid5(entry.id, "refused"),
            mark=marks[entry.id],
            medium="email",
            reason="undeliverable",
            why=f"refused with {code}",
            by="notify",
            customer_id=entry.customer_id,
            message_id=entry.id,
        )
        for entry, code in gone.items()
        if entry.id in marks
    ]
    await suppressions.add_all(tx, additions)


def _addition(tx: Tx, returned: Returned, worn_out: set[str]) -> Addition | None:
    """What of it goes on the list."""
    entry, mark = returned.entry, returned.mark
    if mark is None or (returned.bounce == "soft" and mark not in worn_out):
        return None
    soft = returned.bounce == "soft"
    why = (
        f"came back {SOFT_AT_MOST} times within {SOFT_WITHIN.days} days" if soft else f"came back with {returned.code}"
    )
    complaint = returned.bounce == "complaint"
    return Addition(
        id=uuid5(entry.id, returned.bounce),
        mark=mark,
        medium="email",
        reason="complained" if complaint else "undeliverable",
        why=f"complaint: {returned.code}" if complaint else why,
        by="notify",
        customer_id=entry.customer_id,
        message_id=entry.id,
        until=tx.now + SOFT_WITHIN if soft else None,
    )


async def _unsubscribe(tx: Tx, entry: Entry, customer_id: str) -> None:
    """Who complains wants no more of what they can do without, whatever address they have later."""
    for purpose in _DISPENSABLE:
        key = choice_key("email", purpose)
        await contacts.choose(tx, customer_id, key, granted=False, by="complaint", why=f"complaint about {entry.id}")
        announcements.opted_out(tx, entry.id, customer_id, "email", purpose, by="complaint")
