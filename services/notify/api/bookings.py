"""`/b/{token}`: the page on which a customer chooses when they are called, or another time, or no call.

Which times are free, and who gets one that two want, is casework's to say; so whatever this page shows, nobody is
promised what somebody else has.
"""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request

from libs.webapi.problem import of_status
from services.notify.api.frame import Lang, known_language, preferred_language
from services.notify.api.signed_pages import SignedPages, form_of
from services.notify.casework import CaseworkAwayError
from services.notify.store import profiles
from services.notify.texts import at, clock_time, day, weekday, zone

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.responses import Response

    from libs.events.database import Database
    from services.notify.api.frame import Frame
    from services.notify.api.throttle import Throttle
    from services.notify.casework import Casework, Slots
    from services.notify.links import SignedLinks

PREFIX: Final = "/b/"
SHEETS: Final = ("page.css", "booking.css")
_MOST_DAYS: Final = 5
Outcome = Annotated[str | None, Query(alias="o", max_length=20)]


class BookingPages(SignedPages):
    """The pages behind booking links, whose tokens name cases."""

    def __init__(
        self,
        frame: Frame,
        database: Database,
        casework: Casework | None,
        *,
        links: SignedLinks,
        wrong: Throttle,
        time_zone: str,
    ) -> None:
        super().__init__(PREFIX, frame, links=links, wrong=wrong)
        self._database = database
        self._casework = casework
        self._time_zone = time_zone

    async def show(self, request: Request, token: str, lang: Lang = None, outcome: Outcome = None) -> Response:
        """What is agreed, and what can be chosen."""
        slots = await self._slots(self.looked_at(request, token))
        return await self._page(request, slots, lang, outcome)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """What the customer chose; asked twice it is done once."""
        case_id = self.answered(request, token)
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
        return self.back(f"o={outcome}", lang)

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
        return self.frame.page(
            language,
            "booking",
            is_running=slots.is_running,
            agreed=None if agreed is None else at(agreed, language, where),
            callback_id=None if slots.callback is None else str(slots.callback.id),
            agent=slots.owner_name,
            days=days,
            zone=slots.zone,
            outcome=outcome,
        )


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
