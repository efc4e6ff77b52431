"""`/changes`: what the company changed, for everybody: two languages, no scripts, with a feed."""

from __future__ import annotations

import asyncio
import hashlib
import html
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID
from xml.sax.saxutils import escape

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from libs.webapi.paging import decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from services.notify.api.frame import Frame, Lang, known_language, preferred_language
from services.notify.letters import paragraphs
from services.notify.share_image import HEIGHT, WIDTH, Card, drawn
from services.notify.store import campaigns
from services.notify.texts import day, zone

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from libs.events.database import Database
    from services.notify.mime import Mailbox
    from services.notify.store.campaigns import Published

PREFIX: Final = "/changes"
_ON_A_PAGE: Final = 10
_IN_THE_FEED: Final = 30
_TITLES: Final[dict[Language, str]] = {"ru": "Что мы изменили", "en": "What we changed"}
_LEDES: Final[dict[Language, str]] = {
    "ru": "Что сказали клиенты, что мы из этого поняли и что изменили",
    "en": "What customers told us, what we learned, and what we changed",
}
_LONGEST_DESCRIPTION: Final = 200
_OF_A_PICTURE: Final = {"Cache-Control": "public, max-age=86400", "Cross-Origin-Resource-Policy": "cross-origin"}
"""A published change stays as it is, and other sites show its picture."""

Before = Annotated[str | None, Query(max_length=500)]


class ChangesPages:
    """The page, one change by itself, and the feed."""

    def __init__(self, database: Database, *, address: str, sender: Mailbox, time_zone: str) -> None:
        """`address` is where people reach the page."""
        self._database = database
        self._address = address
        self._sender = sender
        self._zone = zone(None, time_zone)
        self._frame = Frame(sender, forms=False, headers={"Cache-Control": "public, max-age=60"})
        self.router: Final = APIRouter(include_in_schema=False)
        for path, show in (
            (PREFIX, self.show),
            (f"{PREFIX}.atom", self.feed),
            (f"{PREFIX}/share.png", self.share),
            (f"{PREFIX}/{{campaign_id}}/share.png", self.share_one),
            (f"{PREFIX}/{{campaign_id}}", self.show_one),
        ):
            self.router.add_api_route(path, show, methods=["GET", "HEAD"], response_class=HTMLResponse)

    async def show(self, request: Request, lang: Lang = None, before: Before = None) -> Response:
        """The latest changes; older ones on further pages."""
        position = None if before is None else decode_cursor(before, tuple[datetime, UUID])
        async with self._database.reading() as tx:
            found = await campaigns.published(tx, before=position, limit=_ON_A_PAGE + 1)
            now = tx.now
        shown = found[:_ON_A_PAGE]
        older = encode_cursor((shown[-1].started_at, shown[-1].id)) if len(found) > _ON_A_PAGE else None
        return self._page(request, lang, shown, now, older=older, is_first=before is None)

    async def show_one(self, request: Request, campaign_id: UUID, lang: Lang = None) -> Response:
        """One change, at an address that stays."""
        async with self._database.reading() as tx:
            found = await campaigns.published_one(tx, campaign_id)
            now = tx.now
        if found is None:
            raise of_status(404)
        return self._page(request, lang, [found], now, older=None, is_first=False)

    async def feed(self, request: Request, lang: Lang = None) -> Response:
        """The latest changes as Atom (RFC 4287)."""
        async with self._database.reading() as tx:
            found = await campaigns.published(tx, before=None, limit=_IN_THE_FEED)
            now = tx.now
        language = known_language(lang) or preferred_language(request)
        body = self._atom(found, language, now)
        headers = {**self._frame.headers, "Content-Language": language}
        return Response(body, media_type="application/atom+xml; charset=utf-8", headers=headers)

    async def share(self, request: Request, lang: Lang = None) -> Response:
        """The picture of the page as a whole."""
        language = known_language(lang) or preferred_language(request)
        return await self._picture(request, Card(self._sender.name, _TITLES[language], _LEDES[language]), language)

    async def share_one(self, request: Request, campaign_id: UUID, lang: Lang = None) -> Response:
        """The picture of one change."""
        async with self._database.reading() as tx:
            found = await campaigns.published_one(tx, campaign_id)
            now = tx.now
        if found is None:
            raise of_status(404)
        language = known_language(lang) or preferred_language(request)
        on = day(found.started_at, language, self._zone, now=now)
        card = Card(self._sender.name, _TITLES[language], found.plan.content.of(language).subject, on)
        return await self._picture(request, card, language)

    async def _picture(self, request: Request, card: Card, language: Language) -> Response:
        picture = await asyncio.to_thread(drawn, card)
        tag = f'"{hashlib.sha256(picture).hexdigest()[:32]}"'
        headers = _OF_A_PICTURE | {"ETag": tag, "Content-Language": language, "Vary": "Accept-Language"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(picture, media_type="image/png", headers=headers)

    def _page(
        self,
        request: Request,
        lang: str | None,
        found: list[Published],
        now: datetime,
        *,
        older: str | None,
        is_first: bool,
    ) -> Response:
        language = known_language(lang) or preferred_language(request)
        alone = found[0].plan.content.of(language).subject if len(found) == 1 and not is_first else None
        return self._frame.page(
            language,
            "changes",
            address=self._address,
            alone=alone,
            share=self._share(found[0] if alone else None, language),
            entries=[self._entry(each, language, now) for each in found],
            older=None if older is None else quote(older),
            is_first=is_first,
        )

    def _share(self, published: Published | None, language: Language) -> dict[str, Any]:
        """What a preview of the link says and shows."""
        address = self._address if published is None else f"{self._address}/{published.id}"
        said = None if published is None else published.plan.content.of(language)
        described = _LEDES[language] if said is None else " ".join(said.changed.split())
        if len(described) > _LONGEST_DESCRIPTION:
            described = f"{described[: _LONGEST_DESCRIPTION - 1].rsplit(' ', 1)[0]}…"
        return {
            "type": "website" if published is None else "article",
            "title": _TITLES[language] if said is None else said.subject,
            "description": described,
            "url": f"{address}?lang={language}",
            "image": f"{address}/share.png?lang={language}",
            "width": WIDTH,
            "height": HEIGHT,
            "locale": {"ru": "ru_RU", "en": "en_US"}[language],
            "other_locale": {"ru": "en_US", "en": "ru_RU"}[language],
            "published": None if published is None else published.started_at.isoformat(),
        }

    def _entry(self, published: Published, language: Language, now: datetime) -> dict[str, Any]:
        said = published.plan.content.of(language)
        return {
            "id": str(published.id),
            "on": day(published.started_at, language, self._zone, now=now),
            "at": published.started_at.astimezone(self._zone).date().isoformat(),
            "headline": said.subject,
            "learned": paragraphs(said.learned),
            "changed": paragraphs(said.changed),
            "next_steps": paragraphs(said.next_steps or ""),
        }

    def _atom(self, found: list[Published], language: Language, now: datetime) -> str:
        updated = found[0].started_at if found else now
        here = f"{self._address}.atom?lang={language}"
        entries = "".join(self._atom_entry(each, language) for each in found)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{language}">\n'
            f"<title>{escape(_TITLES[language])} · {escape(self._sender.name)}</title>\n"
            f"<id>{escape(self._address)}</id>\n"
            f"<updated>{updated.isoformat()}</updated>\n"
            f'<link rel="self" type="application/atom+xml" href="{html.escape(here)}"/>\n'
            f'<link rel="alternate" type="text/html" href="{html.escape(self._address)}?lang={language}"/>\n'
            f"<author><name>{escape(self._sender.name)}</name></author>\n"
            f"{entries}</feed>\n"
        )

    def _atom_entry(self, published: Published, language: Language) -> str:
        said = published.plan.content.of(language)
        told = [*paragraphs(said.learned), *paragraphs(said.changed), *paragraphs(said.next_steps or "")]
        # HTML within XML: escaped once for each.
        content = escape("".join(f"<p>{html.escape(each)}</p>" for each in told))
        at = published.started_at.isoformat()
        return (
            f"<entry>\n<title>{escape(said.subject)}</title>\n<id>urn:uuid:{published.id}</id>\n"
            f"<published>{at}</published><updated>{at}</updated>\n"
            f'<link rel="alternate" type="text/html" '
            f'href="{html.escape(self._address)}/{published.id}?lang={language}"/>\n'
            f'<content type="html">{content}</content>\n</entry>\n'
        )
