"""The factory of every HTTP app: problems, security headers, limits, strict JSON, API keys, OpenAPI and its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from typing_extensions import TypeVar

from libs.webapi import docs, problem
from libs.webapi.auth import KeyRing
from libs.webapi.limits import SECURITY_HEADERS, BodyLimit, LastResort, SecurityHeaders
from libs.webapi.strict_json import StrictRoute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from libs.events.database import Database

BODY_LIMIT: Final = 1_048_576

AppT = TypeVar("AppT", bound=FastAPI, default=FastAPI)


def create_app(
    title: str,
    database: Database,
    *,
    description: str,
    version: str = "1",
    body_limit: int = BODY_LIMIT,
    body_limits: Mapping[str, int] | None = None,
    headers: Mapping[str, str] | None = None,
    render: problem.Render = problem.as_json,
    kind: type[AppT] = FastAPI,  # type: ignore[assignment]  # the default of a type variable
) -> AppT:
    """An app over `database`.

    `body_limits` gives path prefixes (`limits.BodyLimit`) a limit (bytes) other than `body_limit`, `headers` other or
    further security headers, `render` turns problems into answers that are no JSON (pages for people). `kind` is a
    class of app that does something before all of this.
    """
    app = kind(
        title=title,
        description=description,
        version=version,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(SecurityHeaders, headers={**SECURITY_HEADERS, **(headers or {})}),
            Middleware(LastResort, render=render),
            Middleware(BodyLimit, default=body_limit, limits=body_limits or {}),
        ],
        responses={
            "default": {
                "description": "A problem (RFC 9457)",
                "content": {problem.MEDIA_TYPE: {"schema": problem.SCHEMA}},
            }
        },
    )
    app.router.route_class = StrictRoute
    app.state.database = database
    app.state.keyring = KeyRing(database)
    problem.install(app, render)
    docs.install(app)
    return app


def database_of(request: Request) -> Database:
    """The database that the app was made over."""
    database: Database = request.app.state.database
    return database
