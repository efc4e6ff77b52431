"""The pages behind signed links: no log-in, no scripts, nothing that a link scanner can set off.

A GET shows and changes nothing, whoever follows the link; a POST does what was chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.webapi.problem import Problem, of_status
from services.notify.api.frame import Lang, known_language
from services.notify.api.throttle import Throttle

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from services.notify.api.frame import Frame
    from services.notify.domain.messages import MessageId
    from services.notify.links import SignedLinks

_FORM: Final = "application/x-www-form-urlencoded"


def wrong_links() -> Throttle:
    """How many wrong links an address may try. Guesses cost a hash and ask no database."""
    return Throttle(burst=20, per_minute=10)


class SignedPages(ABC):
    """One kind of link: what it shows, and what can be done there."""

    def __init__(self, prefix: str, frame: Frame, *, links: SignedLinks, wrong: Throttle) -> None:
        """`wrong` is shared by all kinds: who guesses one guesses the others."""
        self.frame: Final = frame
        self._links = links
        self._wrong = wrong
        # Per link and not per address: behind a proxy, all customers may have one address.
        self._reads = Throttle(burst=60, per_minute=60)
        self._answers = Throttle(burst=20, per_minute=10)
        self.router: Final = APIRouter(include_in_schema=False)
        path = prefix + "{token}"
        self.router.add_api_route(path, self.show, methods=["GET", "HEAD"], response_class=HTMLResponse)
        self.router.add_api_route(path, self.take, methods=["POST"], response_class=HTMLResponse)

    @abstractmethod
    async def show(self, request: Request, token: str, lang: Lang = None) -> Response:
        """The page; changes nothing."""

    @abstractmethod
    async def take(self, request: Request, token: str, lang: Lang = None) -> Response:
        """What was chosen on it."""

    def looked_at(self, request: Request, token: str) -> MessageId:
        """What the link of somebody who looks names; 404 unless we signed it, 429 where it is asked for too often."""
        return self._named(request, token, self._reads)

    def answered(self, request: Request, token: str) -> MessageId:
        """What the link of somebody who answers names; the same, with fewer times."""
        return self._named(request, token, self._answers)

    def back(self, query: str, lang: str | None) -> Response:
        """To the page again (303), so that reloading does nothing anew; in the language that was chosen."""
        language = known_language(lang)
        asked = "&".join(part for part in (query, f"lang={language}" if language is not None else "") if part)
        # Relative, so that it holds behind any proxy.
        return RedirectResponse(f"?{asked}", status_code=303, headers=self.frame.headers)

    def _named(self, request: Request, token: str, throttle: Throttle) -> MessageId:
        named = self._links.read(token)
        if named is None:
            address = request.client.host if request.client is not None else ""
            raise of_status(404) if self._wrong.admits(address) else _too_many()
        if not throttle.admits(named.hex):
            raise _too_many()
        return named


def is_form(request: Request) -> bool:
    """Whether the body is what our own forms send."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


async def form_of(request: Request) -> FormData:
    """The form that a page sent; a problem where it is none."""
    if not is_form(request):
        raise Problem(415, "unsupported-media-type", "The content type is not supported")
    return await request.form(max_fields=10)


def _too_many() -> Problem:
    """Wait a minute."""
    return of_status(429, headers={"Retry-After": "60"})
