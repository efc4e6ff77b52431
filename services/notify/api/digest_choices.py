"""`/u/d/{token}`: no more digests of a kind, by one press and by one click of a mail client; taken back by another.

A GET shows and changes nothing, so that link scanners turn nothing off. A POST answers with the page itself: RFC 8058
forbids to redirect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from libs.webapi.problem import of_status
from services.notify.api.pages import Lang, is_form, known_language, preferred_language, too_many
from services.notify.api.throttle import Throttle
from services.notify.store import digests

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from libs.events.database import Database, Tx
    from services.notify.api.pages import ConfirmationPages
    from services.notify.domain.messages import MessageId
    from services.notify.links import SignedLinks
    from services.notify.store.digests import Reader

PREFIX: Final = "/u/d/"


class DigestChoicePages:
    """One link, three things: look, no more, and again after all."""

    def __init__(self, database: Database, *, links: SignedLinks, frame: ConfirmationPages) -> None:
        """`frame` is what all pages behind signed links have in common."""
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
            wanted = reader.kind not in await digests.refused(tx, reader.employee_id)
        return self._page(request, reader, lang, wanted=wanted)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """No more; or, by the other button, again."""
        message_id = self._message_of(request, token)
        # A mail client may send its one click as it likes; only our own button asks for anything else.
        again = is_form(request) and (await request.form(max_fields=10)).get("answer") == "again"
        async with self._database.transaction() as tx:
            reader = await _reader(tx, message_id)
            await digests.choose(tx, reader.employee_id, reader.kind, wanted=again)
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
        return self._frame.render(language, "digest_choice", wanted=wanted, period=reader.kind)


async def _reader(tx: Tx, message_id: MessageId) -> Reader:
    reader = await digests.reader(tx, message_id)
    if reader is None:
        raise of_status(404)
    return reader
