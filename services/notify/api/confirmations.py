"""The pages behind signed links, for customers: no log-in, no scripts, nothing that a link scanner can set off.

A GET shows and changes nothing; a POST answers. The answer, its event and the round's state are one transaction, and
the browser is sent back to the page (303), so that reloading asks and answers nothing again.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.event import Event
from libs.webapi.problem import Problem, of_status
from services.notify import announcements
from services.notify.api.throttle import Throttle
from services.notify.domain.rounds import View, takes, view
from services.notify.letters import environment
from services.notify.store import confirmations
from services.notify.templating import TEMPLATES
from services.notify.texts import LANGUAGES, day, zone

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.datastructures import FormData, UploadFile

    from libs.events.contracts.customers import Language
    from libs.events.database import Database, Tx
    from services.notify.domain.messages import MessageId
    from services.notify.links import ConfirmationLinks
    from services.notify.mime import Mailbox
    from services.notify.store.confirmations import Asked

PREFIX: Final = "/c/"
BOOKING_PREFIX: Final = "/b/"
LONGEST_COMMENT: Final = 2_000
_FORM: Final = "application/x-www-form-urlencoded"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_EXPLAINED: Final = frozenset({404, 413, 429, 503})

Lang = Annotated[str | None, Query()]


def is_page(path: str) -> bool:
    """Whether people look at what stands under this path."""
    return path.startswith((PREFIX, BOOKING_PREFIX, "/u/", "/changes"))


class ConfirmationPages:
    """`/c/{token}`: is it really solved."""

    def __init__(self, database: Database, *, links: ConfirmationLinks, sender: Mailbox, time_zone: str) -> None:
        self._database = database
        self._links = links
        self._sender = sender
        self._time_zone = time_zone
        # Per link and not per address: behind a proxy, all customers may have one address. Only wrong links are
        # counted by address; a guess costs a hash and asks no database.
        self._reads = Throttle(burst=60, per_minute=60)
        self._answers = Throttle(burst=20, per_minute=10)
        self._wrong = Throttle(burst=20, per_minute=10)
        css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
        self._css = Markup(css)  # noqa: S704 - our own file
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(css.encode()).digest()).decode()}'; "
                "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            "X-Robots-Tag": "noindex, nofollow, noarchive",
            "Vary": "Accept-Language",
        }
        templates = environment()
        self._templates = {
            (language, name): templates.get_template(f"{language}/{name}.html")
            for language in LANGUAGES
            for name in ("confirmation", "trouble", "unsubscribe", "digest_choice")
        }
        self.router: Final = APIRouter(include_in_schema=False)
        self.router.add_api_route(PREFIX + "{token}", self.show, methods=["GET", "HEAD"], response_class=HTMLResponse)
        self.router.add_api_route(PREFIX + "{token}", self.take, methods=["POST"], response_class=HTMLResponse)

    async def show(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The page of a round; changes nothing, whoever asks."""
        message_id = self._message_of(request, token, self._reads)
        async with self._database.reading() as tx:
            asked = await confirmations.find(tx, message_id)
            now = tx.now
        if asked is None:
            raise of_status(404)
        return self._page(request, asked, now, lang)

    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The customer's answer. The first one counts; a yes may be taken back (see `domain.rounds`)."""
        message_id = self._message_of(request, token, self._answers)
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
        # Relative, so that it holds behind any proxy; the language stays as it was chosen.
        language = known_language(lang)
        back = f"?lang={language}" if language is not None else "?"
        return RedirectResponse(back, status_code=303, headers=self._headers)

    def trouble(self, request: Request, problem: Problem) -> Response:
        """What went wrong, kindly."""
        ours = problem.status_code >= 500  # noqa: PLR2004
        status = problem.status_code if problem.status_code in _EXPLAINED else 503 if ours else 404
        language = preferred_language(request)
        html = self._templates[language, "trouble"].render(status=status, **self._frame(language))
        headers = {**self._headers, **(problem.headers or {}), "Content-Language": language}
        return HTMLResponse(html, status_code=problem.status_code, headers=headers)

    def _message_of(self, request: Request, token: str, throttle: Throttle) -> MessageId:
        message_id = self._links.read(token)
        if message_id is None:
            raise of_status(404) if self.admits_wrong(request) else too_many()
        if not throttle.admits(message_id.hex):
            raise too_many()
        return message_id

    def admits_wrong(self, request: Request) -> bool:
        """Whether somebody may try one more wrong link."""
        address = request.client.host if request.client is not None else ""
        return self._wrong.admits(address)

    def render(self, language: Language, name: Literal["unsubscribe", "digest_choice"], **values: object) -> Response:
        """Another page in the same frame."""
        html = self._templates[language, name].render(**values, **self._frame(language))
        return HTMLResponse(html, headers={**self._headers, "Content-Language": language})

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
        html = self._templates[language, "confirmation"].render(
            view=str(shown),
            agent=asked.agent_name,
            asked_about=day(asked.asked_about, language, where, now=now),
            confirm_by=day(asked.confirm_by, language, where, now=now),
            problem=problem if shown in (View.ASK, View.ASK_LATE) or problem == "too_long" else None,
            comment=comment,
            longest=LONGEST_COMMENT,
            **self._frame(language),
        )
        headers = {**self._headers, "Content-Language": language}
        return HTMLResponse(html, status_code=200 if problem is None else 422, headers=headers)

    def _frame(self, language: Language) -> dict[str, Any]:
        return {
            "language": language,
            "company": self._sender.name,
            "contact": self._sender.address,
            "css": self._css,
        }


def too_many() -> Problem:
    """Wait a minute."""
    return of_status(429, headers={"Retry-After": "60"})


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


def is_form(request: Request) -> bool:
    """Whether the body is what our own forms send."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


async def form_of(request: Request) -> FormData:
    """The form that a page sent; a problem where it is none."""
    if not is_form(request):
        raise Problem(415, "unsupported-media-type", "The content type is not supported")
    return await request.form(max_fields=10)


def _text(value: str | UploadFile | None) -> str:
    """A text field's content, as it can be kept: no control characters, one kind of line break."""
    if not isinstance(value, str):
        return ""
    return _UNPRINTABLE.sub("", value.replace("\r\n", "\n").replace("\r", "\n")).strip()


def known_language(language: str | None) -> Language | None:
    """The language of that name, if it is one of ours."""
    return next((each for each in LANGUAGES if each == language), None)


def preferred_language(request: Request) -> Language:
    """The first of our languages that the address or the browser asks for; Russian where neither does."""
    asked = known_language(request.query_params.get("lang"))
    if asked is not None:
        return asked
    for wish in request.headers.get("accept-language", "").lower().split(","):
        found = known_language(wish.partition(";")[0].strip().partition("-")[0])
        if found is not None:
            return found
    return "ru"
