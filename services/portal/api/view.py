"""Pages: templates, the reader's language, and problems as pages that a person understands."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from services.portal.domain import plot, trend
from services.portal.domain.people import Right
from services.portal.texts import LANGUAGES, Words, load_texts
from services.portal.texts.mistakes import tell_mistake
from services.portal.texts.reasons import tell_why

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from starlette.requests import Request

    from libs.webapi.problem import Problem
    from services.portal.api.access import Door, Visit, Visitor
    from services.portal.domain.people import Language, Person

_HERE: Final = Path(__file__).parent.parent
STATIC: Final = _HERE / "static"
LANGUAGE_COOKIE: Final = "otklik-language"
_YEAR_SECONDS: Final = 365 * 24 * 3600
_API: Final = "/v1/"


class Pages:
    """Renders the templates for one company: its time zone, its clock."""

    def __init__(self, *, zone: ZoneInfo, clock: Callable[[], datetime]) -> None:
        self.zone: Final = zone
        self.static_version: Final = _version_of(STATIC)
        self._clock = clock
        self._texts = load_texts()
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            Right=Right,
            plot=plot,
            trends=trend,
            languages=LANGUAGES,
            tell_why=tell_why,
            tell_mistake=tell_mistake,
            new_id=_new_id,
        )

    def words(self, request: Request, person: Person | None) -> Words:
        """The language asked for in the address, else chosen before, else the account's, else the browser's first."""
        asked = request.query_params.get("lang")
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        for language in (asked, chosen, person.language if person else None, _accepted(request)):
            if language in LANGUAGES:
                return self.words_in(language)
        return self.words_in("ru")

    def words_in(self, language: Language) -> Words:
        """The words of one language, now."""
        return Words(language, self._texts[language], zone=self.zone, now=self._clock())

    def page(
        self,
        request: Request,
        visitor: Visitor | Visit,
        template: str,
        *,
        status: int = 200,
        **context: Any,  # noqa: ANN401 - whatever the template shows
    ) -> Response:
        """The page for this visitor, in their language."""
        words = self.words(request, visitor.person)
        html = self._templates.get_template(template).render(
            t=words,
            person=visitor.person,
            form_token=visitor.form_token,
            path=request.url.path,
            here=request.url,
            static=f"/static/{self.static_version}",
            **context,
        )
        response = HTMLResponse(html, status_code=status, headers={"Content-Language": words.language})
        door: Door = request.app.state.door
        door.greet(request, response)
        if request.query_params.get("lang") == words.language:
            response.set_cookie(
                LANGUAGE_COOKIE, words.language, max_age=_YEAR_SECONDS, path="/", httponly=True, samesite="lax"
            )
        return response

    def problem(self, request: Request, problem: Problem) -> Response:
        """A problem as a page for people; as it is for programs."""
        if request.url.path.startswith(_API) or request.url.path.startswith("/static/"):
            return problem.response()
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        person = visitor.person if visitor else None
        words = self.words(request, person)
        key = f"problem.{problem.slug}"
        if not words.has(f"{key}.title"):
            key = f"problem.{problem.status_code // 100}xx"
        html = self._templates.get_template("problem.html").render(
            t=words,
            person=person,
            form_token=visitor.form_token if visitor else "",
            path=request.url.path,
            here=request.url,
            static=f"/static/{self.static_version}",
            key=key,
            status=problem.status_code,
        )
        return HTMLResponse(html, status_code=problem.status_code, headers=dict(problem.headers or {}))


def _new_id() -> str:
    """The id of a command that a form may give: sent twice, it happens once."""
    return str(uuid4())


def _accepted(request: Request) -> str | None:
    """The first of our languages in the browser's list; browsers send it in the order of preference."""
    for part in request.headers.get("accept-language", "").split(","):
        language = part.partition(";")[0].strip().lower()[:2]
        if language in LANGUAGES:
            return language
    return None


def _version_of(folder: Path) -> str:
    """A name for the present content of the folder, so that browsers may keep it for ever."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
