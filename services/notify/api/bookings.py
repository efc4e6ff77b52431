"""`/b/{token}`: the page on which a customer chooses when they are called, or another time, or no call.

A GET changes nothing, whoever follows the link. Which times are free, and who gets one that two want, is casework's to
say; so whatever this page shows, nobody is promised what somebody else has.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.webapi.problem import of_status
from services.notify.api.pages import BOOKING_PREFIX, form_of, known_language, preferred_language, too_many
from services.notify.api.throttle import Throttle
from services.notify.casework import CaseworkAwayError
from services.notify.letters import environment
from services.notify.store import profiles
from services.notify.templating import TEMPLATES
from services.notify.texts import LANGUAGES, at, clock_time, day, weekday, zone

if TYPE_CHECKING:
    from uuid import UUID

    from libs.events.database import Database
    from services.notify.casework import Casework, Slots
    from services.notify.links import SignedLinks
    from services.notify.mime import Mailbox

_MOST_DAYS: Final = 5
Lang = Annotated[str | None, Query()]
Outcome = Annotated[str | None, Query(alias="o", max_length=20)]


class BookingPages:
    """The pages behind booking links."""

    def __init__(
        self, database: Database, casework: Casework | None, *, links: SignedLinks, sender: Mailbox, time_zone: str
    ) -> None:
        self._database = database
        self._casework = casework
        self._links = links
        self._sender = sender
        self._time_zone = time_zone
        self._reads = Throttle(burst=60, per_minute=60)
        self._choices = Throttle(burst=20, per_minute=10)
        self._wrong = Throttle(burst=20, per_minute=10)
        css = (TEMPLATES / "page.css").read_text(encoding="utf-8") + (TEMPLATES / "booking.css").read_text(
            encoding="utf-8"
        )
        self._css = Markup(css)  # noqa: S704 - our own files
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(css.encode()).digest()).decode()}'; "
                "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            "X-Robots-Tag": "noindex, nofollow, noarchive",
            "Cache-Control": "no-store",
            "Vary": "Accept-Language",
        }
        templates = environment()
        self._templates = {language: templates.get_template(f"{language}/booking.html") for language in LANGUAGES}
        self.router: Final = APIRouter(include_in_schema=False)
        path = BOOKING_PREFIX + "{token}"
        self.router.add_api_route(path, self.show, methods=["GET", "HEAD"], response_class=HTMLResponse)
        self.router.add_api_route(path, self.take, methods=["POST"], response_class=HTMLResponse)

    async def show(self, request: Request, token: str, lang: Lang = None, outcome: Outcome = None) -> Response:
        """What is agreed, and what can be chosen."""
        slots = await self._slots(self._case_of(request, token, self._reads))
        return await self._page(request, slots, lang, outcome)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """What the customer chose; asked twice it is done once."""
        case_id = self._case_of(request, token, self._choices)
        form = await form_of(request)
        chosen, cancelled = form.get("at"), form.get("cancel")
        casework = self._there()
        try:
            if isinstance(cancelled, str):
                slots = await self._slots(case_id)
                if slots.callback is not None and str(slots.callback.id) == cancelled:
                    await casework.cancel(case_id, slots.callback.id)
                outcome = "cancelled"
            else:
                moment = _moment(chosen)
                outcome = "choose" if moment is None else await casework.choose(case_id, moment)
        except CaseworkAwayError as error:
            raise of_status(503) from error
        language = known_language(lang)
        back = f"?o={outcome}" + (f"&lang={language}" if language is not None else "")
        return RedirectResponse(back, status_code=303, headers=self._headers)

    def _case_of(self, request: Request, token: str, throttle: Throttle) -> UUID:
        case_id = self._links.read(token)
        if case_id is None:
            address = request.client.host if request.client is not None else ""
            raise of_status(404) if self._wrong.admits(address) else too_many()
        if not throttle.admits(case_id.hex):
            raise too_many()
        return case_id

    def _there(self) -> Casework:
        if self._casework is None:
            raise of_status(503)
        return self._casework

    async def _slots(self, case_id: UUID) -> Slots:
        try:
            slots = await self._there().slots(case_id)
        except CaseworkAwayError as error:
            raise of_status(503) from error
        if slots is None:
            raise of_status(404)
        return slots

    async def _page(self, request: Request, slots: Slots, lang: str | None, outcome: str | None) -> Response:
        profile = None
        async with self._database.reading() as tx:
            now = tx.now
            if slots.customer_id is not None:
                profile = (await profiles.get_profiles(tx, {slots.customer_id})).get(slots.customer_id)
        known = None if profile is None else profile.language
        language = known_language(lang) or known or preferred_language(request)
        where = zone(slots.zone, self._time_zone)
        agreed = None if slots.callback is None else slots.callback.at
        by_day = groupby(
            (each for each in slots.slots if each != agreed), key=lambda each: each.astimezone(where).date()
        )
        days: list[dict[str, Any]] = []
        for _, group in by_day:
            of_day = list(group)
            days.append(
                {
                    "name": f"{weekday(of_day[0], language, where)}, {day(of_day[0], language, where, now=now)}",
                    "slots": [(each.isoformat(), clock_time(each, where)) for each in of_day],
                }
            )
            if len(days) == _MOST_DAYS:
                break
        html = self._templates[language].render(
            is_running=slots.is_running,
            agreed=None if agreed is None else at(agreed, language, where),
            callback_id=None if slots.callback is None else str(slots.callback.id),
            agent=slots.owner_name,
            days=days,
            zone=slots.zone,
            outcome=outcome,
            language=language,
            company=self._sender.name,
            contact=self._sender.address,
            css=self._css,
        )
        return HTMLResponse(html, headers={**self._headers, "Content-Language": language})


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
