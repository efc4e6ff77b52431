"""`/c/{token}`: the page on which a customer says whether it is really solved.

The answer, its event and the round's state are one transaction, and the browser is sent back to the page (303), so that
reloading asks and answers nothing again.
"""

import re
from datetime import datetime
from typing import Final, Literal

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.database import Database, Tx
from libs.events.event import Event
from libs.webapi.problem import of_status
from services.notify import announcements
from services.notify.api.frame import Frame, Lang, known_language, preferred_language
from services.notify.api.signed_pages import SignedPages, form_of
from services.notify.api.throttle import Throttle
from services.notify.domain.rounds import View, takes, view
from services.notify.links import SignedLinks
from services.notify.store import confirmations
from services.notify.store.confirmations import Asked
from services.notify.texts import day, zone

PREFIX: Final = "/c/"
LONGEST_COMMENT: Final = 2_000
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class ConfirmationPages(SignedPages):
    """Is it really solved."""

    def __init__(
        self, frame: Frame, database: Database, *, links: SignedLinks, wrong: Throttle, time_zone: str
    ) -> None:
        super().__init__(PREFIX, frame, links=links, wrong=wrong)
        self._database = database
        self._time_zone = time_zone

    async def show(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The page of a round; changes nothing, whoever asks."""
        message_id = self.looked_at(request, token)
        async with self._database.reading() as tx:
            asked = await confirmations.find(tx, message_id)
            now = tx.now
        if asked is None:
            raise of_status(404)
        return self._page(request, asked, now, lang)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The customer's answer. The first one counts; a yes may be taken back (see `domain.rounds`)."""
        message_id = self.answered(request, token)
        form = await form_of(request)
        comment = _text(form.get("comment"))
        answer = form.get("answer")
        async with self._database.transaction() as tx:
            asked = await confirmations.find_locked(tx, message_id)
            if asked is None:
                raise of_status(404)
            if answer not in ("yes", "not_yet"):
                return self._page(request, asked, tx.now, lang, problem="choose", comment=comment)
            if len(comment) > LONGEST_COMMENT:
                return self._page(request, asked, tx.now, lang, problem="too_long", comment=comment)
            await _answer(tx, asked, solved=answer == "yes", comment=comment or None)
        return self.back("", lang)

    def _page(
        self,
        request: Request,
        asked: Asked,
        now: datetime,
        lang: str | None,
        *,
        problem: Literal["choose", "too_long"] | None = None,
        comment: str = "",
    ) -> Response:
        language = known_language(lang) or known_language(asked.language) or preferred_language(request)
        shown = view(ended=asked.ended, solved=asked.solved, confirm_by=asked.confirm_by, now=now)
        where = zone(asked.time_zone, self._time_zone)
        return self.frame.page(
            language,
            "confirmation",
            status=200 if problem is None else 422,
            view=str(shown),
            agent=asked.agent_name,
            asked_about=day(asked.asked_about, language, where, now=now),
            confirm_by=day(asked.confirm_by, language, where, now=now),
            problem=problem if shown in (View.ASK, View.ASK_LATE) or problem == "too_long" else None,
            comment=comment,
            longest=LONGEST_COMMENT,
        )


async def _answer(tx: Tx, asked: Asked, *, solved: bool, comment: str | None) -> None:
    shown = view(ended=asked.ended, solved=asked.solved, confirm_by=asked.confirm_by, now=tx.now)
    if not takes(shown, solved=solved) or asked.customer_id is None:
        return
    await confirmations.answer(tx, asked.message_id, solved=solved, comment=comment)
    answered = ConfirmationAnswered(
        case_id=asked.case_id,
        customer_id=asked.customer_id,
        round=asked.round,
        solved=solved,
        comment=comment,
        answered_at=tx.now,
    )
    event = Event.caused_by_command(
        asked.message_id,
        answered,
        subject=asked.case_id,
        time=tx.now,
        source=announcements.SOURCE,
        part=str(asked.answers + 1),
        traceparent=asked.traceparent,
    )
    tx.emit(event, key=asked.customer_id)
    arrived = await confirmations.arrived(tx, asked.message_id)
    if arrived is not None:
        announcements.sent(tx, arrived)


def _text(value: str | UploadFile | None) -> str:
    """A text field's content, as it can be kept: no control characters, one kind of line break."""
    if not isinstance(value, str):
        return ""
    return _UNPRINTABLE.sub("", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
