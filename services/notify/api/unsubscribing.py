"""`/u/{token}`: no more news, by one press and by one click of a mail client (RFC 8058); taken back by another.

A GET shows and changes nothing, so that link scanners unsubscribe nobody. A POST answers with the page itself: RFC 8058
forbids to redirect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid5

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from libs.webapi.problem import of_status
from services.notify import announcements
from services.notify.api.pages import Lang, is_form, known_language, preferred_language, too_many
from services.notify.api.throttle import Throttle
from services.notify.domain.contacts import choice_key
from services.notify.store import contacts, suppressions

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from libs.events.database import Database, Tx
    from services.notify.api.pages import ConfirmationPages
    from services.notify.domain.messages import MessageId
    from services.notify.links import SignedLinks
    from services.notify.store.contacts import Reader

PREFIX: Final = "/u/"
_NEWS: Final = choice_key("email", "news")


class UnsubscribePages:
    """One link, three things: look, no more, and again after all."""

    def __init__(self, database: Database, *, links: SignedLinks, frame: ConfirmationPages) -> None:
        """`frame` is what all pages for customers have in common."""
        self._database = database
        self._links = links
        self._frame = frame
        self._requests = Throttle(burst=30, per_minute=30)
        self.router: Final = APIRouter(include_in_schema=False)
        self.router.add_api_route(PREFIX + "{token}", self.show, methods=["GET", "HEAD"], response_class=HTMLResponse)
        self.router.add_api_route(PREFIX + "{token}", self.take, methods=["POST"], response_class=HTMLResponse)

    async def show(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The question; changes nothing, whoever asks."""
        message_id = self._message_of(request, token)
        async with self._database.reading() as tx:
            reader = await _reader(tx, message_id)
            wanted = await _wanted(tx, reader)
        return self._page(request, reader, lang, wanted=wanted)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """No more; or, by the other button, again."""
        message_id = self._message_of(request, token)
        # A mail client may send its one click as it likes; only our own button asks for anything else.
        again = is_form(request) and (await request.form(max_fields=10)).get("answer") == "again"
        async with self._database.transaction() as tx:
            reader = await _reader(tx, message_id)
            if await _wanted(tx, reader) != again:
                await (_subscribe(tx, reader) if again else _unsubscribe(tx, reader))
        return self._page(request, reader, lang, wanted=again)

    def _message_of(self, request: Request, token: str) -> MessageId:
        message_id = self._links.read(token)
        if message_id is None:
            raise of_status(404) if self._frame.admits_wrong(request) else too_many()
        if not self._requests.admits(message_id.hex):
            raise too_many()
        return message_id

    def _page(self, request: Request, reader: Reader, lang: str | None, *, wanted: bool) -> Response:
        language: Language = known_language(lang) or known_language(reader.language) or preferred_language(request)
        return self._frame.render(language, "unsubscribe", wanted=wanted)


async def _reader(tx: Tx, message_id: MessageId) -> Reader:
    reader = await contacts.reader(tx, message_id)
    # An erased customer's message keeps neither: there is nobody left to write to.
    if reader is None or (reader.customer_id is None and reader.mark is None):
        raise of_status(404)
    return reader


async def _wanted(tx: Tx, reader: Reader) -> bool:
    """Whether they get news as things stand."""
    if reader.customer_id is not None:
        said = (await contacts.choices(tx, reader.customer_id)).get(_NEWS)
        return said is None or bool(said["granted"])
    entries = await suppressions.of_mark(tx, reader.mark or "")
    return not any(entry.removed_at is None and entry.reason == "unsubscribed" for entry in entries)


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
