"""What the pages for people outside have in common: their look, the reader's language, and a kind word in trouble."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Query
from markupsafe import Markup
from starlette.responses import HTMLResponse

from services.notify.letters import environment
from services.notify.templating import TEMPLATES
from services.notify.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request
    from starlette.responses import Response

    from libs.events.contracts.customers import Language
    from libs.webapi.problem import Problem
    from services.notify.mime import Mailbox

_EXPLAINED: Final = frozenset({404, 413, 429, 503})
_OURS: Final = 500
_FOR_NO_SEARCH: Final = {"X-Robots-Tag": "noindex, nofollow, noarchive"}

Lang = Annotated[str | None, Query()]


class Frame:
    """Renders pages in the company's name."""

    def __init__(
        self,
        sender: Mailbox,
        *,
        sheets: Sequence[str] = ("page.css",),
        forms: bool = True,
        headers: Mapping[str, str] = _FOR_NO_SEARCH,
    ) -> None:
        """`sheets` are the style sheets, which stand in the page itself; `forms`: whether it has any."""
        self.sender: Final = sender
        css = "".join((TEMPLATES / sheet).read_text(encoding="utf-8") for sheet in sheets)
        self._css = Markup(css)  # noqa: S704 - our own files
        digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
        to = "'self'" if forms else "'none'"
        self.headers: Final = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action {to}; base-uri 'none'; "
                "frame-ancestors 'none'"
            ),
            "Vary": "Accept-Language",
            **headers,
        }
        self._templates = environment()

    def page(
        self,
        language: Language,
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """The template of that name, filled in."""
        html = self._templates.get_template(f"{language}/{name}.html").render(
            language=language, company=self.sender.name, contact=self.sender.address, css=self._css, **values
        )
        sent = {**self.headers, **(headers or {}), "Content-Language": language}
        return HTMLResponse(html, status_code=status, headers=sent)

    def trouble(self, request: Request, problem: Problem) -> Response:
        """What went wrong, kindly."""
        status = problem.status_code
        told = status if status in _EXPLAINED else 503 if status >= _OURS else 404
        language = preferred_language(request)
        return self.page(language, "trouble", status=status, headers=problem.headers, trouble=told)


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
