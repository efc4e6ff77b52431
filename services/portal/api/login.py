"""Logging in and out. Both answers to a failed log-in are the same words, and cost the same work."""

import math
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from services.portal import store
from services.portal.accounts import Passwords
from services.portal.api.access import Door, Form, posted_form
from services.portal.api.refusals import SEE_OTHER
from services.portal.api.view import Pages
from services.portal.domain.sessions import PER_ADDRESS, PER_LOGIN, safe_next


def routes(database: Database, pages: Pages, passwords: Passwords, door: Door) -> APIRouter:
    """`/login` and `/logout`."""
    router = APIRouter(include_in_schema=False)

    async def show(request: Request, *, status: int = 200, **context: Any) -> Response:  # noqa: ANN401 - as Pages.page
        visitor = await door.visitor(request)
        shown = {"login": "", "next": safe_next(request.query_params.get("next")), "error": None, "wait": None}
        return pages.page(request, visitor, "login.html", status=status, **{**shown, **context})

    @router.get("/login")
    async def login_page(request: Request) -> Response:
        visitor = await door.visitor(request)
        if visitor.person is not None:
            return RedirectResponse(safe_next(request.query_params.get("next")), SEE_OTHER)
        return await show(request)

    @router.post("/login")
    async def log_in(request: Request, form: Annotated[Form, Depends(posted_form)]) -> Response:
        login, wanted = form.get("login"), safe_next(form.get("next"))
        of_login = door.hash("login", login.casefold())
        of_address = door.hash("address", request.client.host if request.client else "")
        wait = await _take_turn(database, of_login, of_address)
        if wait is not None:
            seconds = math.ceil(wait.total_seconds())
            response = await show(request, status=429, login=login, next=wanted, error="wait", wait=wait)
            response.headers["Retry-After"] = str(seconds)
            return response
        person = await passwords.check(database, login=login, password=form.fields.get("password", ""))
        if person is None:
            return await show(request, status=422, login=login, next=wanted, error="wrong")
        async with database.transaction() as tx:
            await store.forgive_attempt(tx, login=of_login, address=of_address)
        answer = RedirectResponse(wanted, SEE_OTHER)
        await door.open(request, answer, person)
        return answer

    @router.post("/logout")
    async def log_out(request: Request, _form: Annotated[Form, Depends(posted_form)]) -> Response:
        answer = RedirectResponse("/login", SEE_OTHER)
        await door.close(request, answer)
        return answer

    return router


def invitation(wanted: str) -> Response:
    """The way to the log-in, and from there to `wanted`."""
    query = "" if wanted == "/" else "?" + urlencode({"next": wanted})
    return RedirectResponse(f"/login{query}", SEE_OTHER)


async def _take_turn(database: Database, login: bytes, address: bytes) -> timedelta | None:
    """Count this attempt as failed, before it is made; or how long to wait, and count nothing."""
    async with database.transaction() as tx:
        attempts = await store.hold_attempts(tx, {login, address})
        waits = [
            rule.wait(attempts[subject].failures, attempts[subject].last_at, tx.now)
            for rule, subject in ((PER_LOGIN, login), (PER_ADDRESS, address))
        ]
        wait = max((wait for wait in waits if wait is not None), default=None)
        if wait is None:
            await store.count_attempts(tx, {login, address}, forgotten_after=PER_LOGIN.forgotten_after)
    return wait
