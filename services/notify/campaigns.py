"""What campaigns do by themselves: freeze the audience, put who comes next into the ledger, notice the end.

Each step is one transaction, and what it leaves behind is the whole state: the position in the audience is written
with the messages up to there, so that a kill at any point repeats or loses nothing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import structlog
from msgspec.structs import asdict

from libs.events.crashpoint import crashpoint
from services.notify import announcements
from services.notify.domain.campaigns import Campaign, CampaignId, Status, complete, due, frozen
from services.notify.domain.messages import message_id
from services.notify.store import audiences, campaigns
from services.notify.telemetry import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageKind
    from libs.events.database import Database, Tx
    from services.notify.domain.campaigns import Plan
    from services.notify.store.campaigns import Stored
    from services.notify.store.delivery import Claimed

log: Final = structlog.get_logger()

ITSELF: Final = "notify"
"""Who acted, where nobody did."""
AT_ONCE: Final = 1_000
"""Messages put into the ledger by one transaction."""
ENOUGH_QUEUED: Final = 1_000
"""With so many messages waiting to be sent nobody is added: the word to one customer must not wait behind all of them,
and a pause is felt at once."""
_ROOM_AGAIN_S: Final = 0.05
"""After so many seconds there is room in a full queue, where the mail server is quick."""
COUNT_EVERY: Final = timedelta(seconds=5)
CHANGES: Final[frozenset[MessageKind]] = frozenset(
    ("changes_for_customers", "changes_for_employees", "changes_for_partners")
)
_PLANS_KEPT: Final = 100


async def step(database: Database) -> bool:
    """Take each campaign a step further; whether to come again at once."""
    async with database.reading() as tx:
        at_work = await campaigns.at_work(tx)
    pauses: list[float] = []
    paused = False
    for campaign_id in at_work:
        async with database.transaction() as tx:
            stored = await campaigns.claim(tx, campaign_id)
            if stored is None:
                paused = True  # or in another process's hands
                continue
            again_in = await _advance(tx, stored)
            if again_in is not None:
                pauses.append(again_in)
    if paused:
        async with database.transaction() as tx:
            await campaigns.park(tx)
    if pauses and min(pauses) > 0:
        await asyncio.sleep(min(pauses))
    return bool(pauses)


class Texts:
    """What campaigns say, kept while their messages go out: it does not change once one is started."""

    def __init__(self) -> None:
        self._plans: dict[UUID, Plan] = {}

    async def fill_in(self, tx: Tx, claimed: Sequence[Claimed]) -> None:
        """Give messages of campaigns their text, in each recipient's language. Trials bring their own."""
        ours = [each for each in claimed if each.entry.kind in CHANGES and "subject" not in each.facts]
        missing = {each.entry.cause_id for each in ours} - self._plans.keys()
        if missing:
            if len(self._plans) + len(missing) > _PLANS_KEPT:
                self._plans.clear()
                missing = {each.entry.cause_id for each in ours}
            self._plans |= await campaigns.plans(tx, missing)
        for each in ours:
            language = each.profile.language if each.profile is not None else cast("Language", each.language)
            said = self._plans[each.entry.cause_id].content.of(language)
            each.facts.update(asdict(said))


async def recall(tx: Tx, campaign_id: CampaignId) -> None:
    """Hold back what the campaign, that was cancelled by `tx`, has in the queue or in hand.

    What is on the line at this moment arrives, or is held back when it comes back into the queue (`journal.record`).
    """
    for entry in await campaigns.recall(tx, campaign_id):
        announcements.suppressed(tx, entry, "cancelled")
        MESSAGES.labels(entry.kind, "suppressed").inc()


async def _advance(tx: Tx, stored: Stored) -> float | None:
    """Take a campaign a step further; in how many seconds to come again, None: at leisure."""
    campaign = stored.campaign
    if campaign.status is Status.STARTING:
        recipients = await audiences.freeze(tx, campaign.id, campaign.plan.audience)
        running = frozen(campaign, recipients, tx.now)
        await campaigns.save(tx, running, "frozen", ITSELF)
        announcements.campaign_started(tx, running, campaign.approved_by or ITSELF)
        log.info("campaign.started", campaign_id=str(campaign.id), recipients=recipients)
        return 0.0
    allowed = due(campaign, tx.now, AT_ONCE)
    if allowed and await campaigns.queued(tx, ENOUGH_QUEUED) >= ENOUGH_QUEUED:
        return _ROOM_AGAIN_S
    if allowed and await _tell_next(tx, campaign, allowed):
        await _count(tx, stored)
        return 0.0
    if campaign.recipients is not None and campaign.told_up_to < campaign.recipients:
        remaining = await campaigns.next_recipients(tx, campaign, 1)
        if remaining:
            await _count(tx, stored)
            return None
    if await campaigns.is_settled(tx, campaign.id):
        counted = await campaigns.tally(tx, campaign.id)
        done = complete(campaign, tx.now)
        await campaigns.save(tx, done, "completed", ITSELF)
        announcements.campaign_completed(tx, done, counted)
        log.info("campaign.completed", campaign_id=str(campaign.id), sent=counted.sent, doubtful=counted.doubtful)
        return None
    await _count(tx, stored)
    return None


async def _tell_next(tx: Tx, campaign: Campaign, allowed: int) -> bool:
    """Put up to `allowed` who come next into the ledger; whether somebody was."""
    following = await campaigns.next_recipients(tx, campaign, allowed)
    if not following:
        return False
    told = [(message_id(campaign.id, recipient), position) for position, recipient in following]
    for entry in await campaigns.tell(tx, campaign, told):
        announcements.queued(tx, entry)
    crashpoint("notify.campaigns.before_commit")
    return True


async def _count(tx: Tx, stored: Stored) -> None:
    """Count from time to time how far it has come; it takes a look at each message."""
    if stored.counted_at is None or tx.now - stored.counted_at >= COUNT_EVERY:
        await campaigns.tally(tx, stored.campaign.id)
