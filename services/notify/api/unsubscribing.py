"""`/u/{token}`: no more news, by the link in a message; taken back on the same page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid5

from libs.webapi.problem import of_status
from services.notify import announcements
from services.notify.api.choices import ChoicePages
from services.notify.domain.contacts import choice_key
from services.notify.store import contacts, suppressions
from services.notify.store.contacts import Reader

if TYPE_CHECKING:
    from starlette.responses import Response

    from libs.events.contracts.customers import Language
    from libs.events.database import Tx
    from services.notify.domain.messages import MessageId

PREFIX: Final = "/u/"
_NEWS: Final = choice_key("email", "news")


class UnsubscribePages(ChoicePages[Reader]):
    """What a customer, or whoever else has the address, gets of the news."""

    async def reader(self, tx: Tx, message_id: MessageId) -> Reader:
        """Who got the news."""
        reader = await contacts.reader(tx, message_id)
        # An erased customer's message keeps neither: there is nobody left to write to.
        if reader is None or (reader.customer_id is None and reader.mark is None):
            raise of_status(404)
        return reader

    async def wanted(self, tx: Tx, reader: Reader) -> bool:
        """Whether they get news as things stand."""
        if reader.customer_id is not None:
            said = (await contacts.choices(tx, reader.customer_id)).get(_NEWS)
            return said is None or bool(said["granted"])
        entries = await suppressions.of_mark(tx, reader.mark or "")
        return not any(entry.removed_at is None and entry.reason == "unsubscribed" for entry in entries)

    async def choose(self, tx: Tx, reader: Reader, *, wanted: bool) -> None:
        """Write to them again, or no more."""
        await (_subscribe(tx, reader) if wanted else _unsubscribe(tx, reader))

    def page(self, language: Language, _reader: Reader, *, wanted: bool) -> Response:
        """The same for everybody."""
        return self.frame.page(language, "unsubscribe", wanted=wanted)


async def _unsubscribe(tx: Tx, reader: Reader) -> None:
    why = f"by the link in message {reader.message_id}"
    if reader.customer_id is not None:
        await contacts.choose(tx, reader.customer_id, _NEWS, granted=False, by="customer", why=why)
        cause = uuid5(reader.message_id, f"unsubscribed/{tx.now.isoformat()}")
        announcements.opted_out(tx, cause, reader.customer_id, "email", "news", by="customer")
        return
    addition = suppressions.Addition(
        id=uuid5(reader.message_id, f"unsubscribed/{tx.now.isoformat()}"),
        mark=reader.mark or "",
        medium="email",
        reason="unsubscribed",
        why=why,
        by="reader",
        message_id=reader.message_id,
    )
    await suppressions.add(tx, addition)


async def _subscribe(tx: Tx, reader: Reader) -> None:
    why = f"by the link in message {reader.message_id}"
    if reader.customer_id is not None:
        await contacts.choose(tx, reader.customer_id, _NEWS, granted=True, by="customer", why=why)
        cause = uuid5(reader.message_id, f"subscribed/{tx.now.isoformat()}")
        announcements.opted_in(tx, cause, reader.customer_id, "email", "news", by="customer")
        return
    for entry in await suppressions.of_mark(tx, reader.mark or ""):
        if entry.removed_at is None and entry.reason == "unsubscribed":
            await suppressions.remove(tx, entry.id, by="reader", why=why)
