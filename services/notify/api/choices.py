"""Links by which a reader gets no more of something, by one press and by one click of a mail client (RFC 8058).

A POST answers with the page itself, on which it can be taken back: RFC 8058 forbids to redirect.
"""

from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from fastapi import Request
from starlette.responses import Response

from libs.events.contracts.customers import Language
from libs.events.database import Database, Tx
from services.notify.api.frame import Frame, Lang, known_language, preferred_language
from services.notify.api.signed_pages import SignedPages, is_form
from services.notify.api.throttle import Throttle
from services.notify.domain.messages import MessageId
from services.notify.links import SignedLinks


class Reader(Protocol):
    """Who got the message with the link."""

    @property
    def language(self) -> str | None:
        """That they are written to in."""


ReaderT = TypeVar("ReaderT", bound=Reader)


class ChoicePages(SignedPages, Generic[ReaderT]):
    """One link, three things: look, no more, and again after all."""

    def __init__(self, prefix: str, frame: Frame, database: Database, *, links: SignedLinks, wrong: Throttle) -> None:
        super().__init__(prefix, frame, links=links, wrong=wrong)
        self._database = database

    async def show(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The question; changes nothing, whoever asks."""
        message_id = self.looked_at(request, token)
        async with self._database.reading() as tx:
            reader = await self.reader(tx, message_id)
            wanted = await self.wanted(tx, reader)
        return self._page(request, reader, lang, wanted=wanted)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """No more; or, by the other button, again."""
        message_id = self.answered(request, token)
        # A mail client may send its one click as it likes; only our own button asks for anything else.
        again = is_form(request) and (await request.form(max_fields=10)).get("answer") == "again"
        async with self._database.transaction() as tx:
            reader = await self.reader(tx, message_id)
            if await self.wanted(tx, reader) != again:
                await self.choose(tx, reader, wanted=again)
        return self._page(request, reader, lang, wanted=again)

    @abstractmethod
    async def reader(self, tx: Tx, message_id: MessageId) -> ReaderT:
        """Who got the message; 404 where nobody is left."""

    @abstractmethod
    async def wanted(self, tx: Tx, reader: ReaderT) -> bool:
        """Whether they get it as things stand."""

    @abstractmethod
    async def choose(self, tx: Tx, reader: ReaderT, *, wanted: bool) -> None:
        """What they chose instead."""

    @abstractmethod
    def page(self, language: Language, reader: ReaderT, *, wanted: bool) -> Response:
        """What they see of it."""

    def _page(self, request: Request, reader: ReaderT, lang: str | None, *, wanted: bool) -> Response:
        language = known_language(lang) or known_language(reader.language) or preferred_language(request)
        return self.page(language, reader, wanted=wanted)
