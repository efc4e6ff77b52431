"""Accounts: who may log in and as what; and the link, shown once, by which its owner chooses a password."""

import re
import secrets
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.database import Database
from libs.webapi.problem import of_status
from services.portal.accounts import MAX_PASSWORD, MIN_PASSWORD, Passwords
from services.portal.api.access import Door, Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, version_in
from services.portal.api.view import Pages
from services.portal.clients import Casework, Refusal, ServiceAwayError
from services.portal.clients.people import Colleague
from services.portal.domain.accountforms import ACCOUNT, INVITED_FOR, entered_account, person_of
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Language, Person, Right, Role
from services.portal.domain.policyforms import WrongEntryError
from services.portal.store import accounts
from services.portal.store.accounts import Account, Refused

_ID: Final = re.compile(r"[A-Za-z0-9._@-]{1,128}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN_BYTES: Final = 32
_CONFLICT: Final = 409
_GONE: Final = 410
_PLACES: Final[dict[Refused, str]] = {
    "id-taken": "id",
    "login-taken": "login",
    "last-administrator": "role",
}


def routes(
    database: Database, pages: Pages, casework: Casework, passwords: Passwords, door: Door, *, over_https: bool
) -> APIRouter:
    """`/logins` and below, for administrators; `/invitation/{token}`, for who was sent the link."""
    router = APIRouter(include_in_schema=False)
    desk = LoginPages(database, pages, casework, passwords, door, over_https=over_https)

    @router.get("/logins")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.ACCOUNTS)]) -> Response:
        return await desk.listed(request, visit)

    @router.get("/logins/{person_id}")
    async def one(request: Request, person_id: str, visit: Annotated[Visit, needs(Right.ACCOUNTS)]) -> Response:
        return await desk.one(request, visit, person_id, NOTHING)

    @router.post("/logins/{person_id}")
    async def change(
        request: Request,
        person_id: str,
        visit: Annotated[Visit, needs(Right.ACCOUNTS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if form.get("do") == "invite":
            return await desk.invite(request, visit, person_id)
        return await desk.change(request, visit, person_id, form)

    @router.get("/invitation/{token}")
    async def invitation(request: Request, token: str) -> Response:
        return await desk.invited(request, token)

    @router.post("/invitation/{token}")
    async def choose(request: Request, token: str, form: Annotated[Form, Depends(posted_form)]) -> Response:
        return await desk.choose(request, token, form)

    return router


class LoginPages:
    """Shows and changes accounts, which are the portal's own."""

    def __init__(
        self,
        database: Database,
        pages: Pages,
        casework: Casework,
        passwords: Passwords,
        door: Door,
        *,
        over_https: bool,
    ) -> None:
        self._database = database
        self._pages = pages
        self._casework = casework
        self._passwords = passwords
        self._door = door
        self._over_https = over_https

    async def listed(self, request: Request, visit: Visit) -> Response:
        """Everybody who may log in, or might."""
        async with self._database.reading() as tx:
            found = await accounts.accounts(tx)
        return self._pages.page(request, visit, "logins.html", accounts=found)

    async def one(
        self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200, link: str = ""
    ) -> Response:
        """The form; of a new account, begun from the colleague whom it is for."""
        account = await self._known(id_)
        about = id_ if account else request.query_params.get("person", "")
        colleague = await self._colleague(visit.person, about)
        stored = dict.fromkeys(ACCOUNT, "") | {"role": Role.EMPLOYEE.value, "language": visit.person.language}
        if account is not None:
            stored = entered_account(account.person)
        elif colleague is not None:
            stored |= {name: getattr(colleague, name) for name in ("id", "name", "email", "role", "language")}
            stored["login"] = colleague.id
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "login_of.html",
            status=status,
            account=account,
            colleague=colleague,
            stored=stored,
            roles=[each.value for each in Role],
            account_languages=get_args(Language),
            draft=draft,
            link=link,
            days=INVITED_FOR.days,
            done=done if done in ("saved", "closed") else "",
        )

    async def _known(self, id_: str) -> Account | None:
        """The account; none yet of a new one; 404 for what is nobody's."""
        if id_ == "new":
            return None
        if not _ID.fullmatch(id_):
            raise of_status(NOT_FOUND)
        async with self._database.reading() as tx:
            found = await accounts.account(tx, id_)
        if found is None:
            raise of_status(NOT_FOUND)
        return found

    async def _colleague(self, person: Person, id_: str) -> Colleague | None:
        """The same person as casework knows them; None too while casework is away: accounts are made without it."""
        if not _ID.fullmatch(id_):
            return None
        try:
            return await self._casework.people.find_agent(person, id_)
        except (ServiceAwayError, Refusal):
            return None

    async def change(self, request: Request, visit: Visit, place: str, form: Form) -> Response:
        """Make the account and show its link; or change or close it."""
        words = self._pages.words(request, visit.person)
        account = await self._known(place)
        entered = {name: form.get(name) for name in ACCOUNT}
        if account is not None:
            entered["id"] = account.person.id
        try:
            person = person_of(entered)
        except WrongEntryError as error:
            wrong = {name: words(f"logins.wrong_{name}") for name in error.fields}
            return await self.one(
                request, visit, place, Draft("login", entered, {}, wrong, words("case.check")), status=WRONG
            )
        closed = form.get("do") == "close"
        password_hash = await self._passwords.unknown() if account is None else ""
        async with self._database.transaction() as tx:
            if account is None:
                refused = await accounts.add(tx, person, password_hash=password_hash)
            else:
                refused = await accounts.change(tx, person, closed=closed, seen=version_in(form))
        if refused is not None:
            at = _PLACES.get(refused)
            why = words(f"logins.refused.{refused}")
            draft = Draft("login", entered, {}, {at: why} if at else {}, words("case.check") if at else why)
            return await self.one(request, visit, place, draft, status=_CONFLICT)
        if account is None:
            return await self.invite(request, visit, person.id)
        return RedirectResponse(f"/logins/{person.id}?done={'closed' if closed else 'saved'}", SEE_OTHER)

    async def invite(self, request: Request, visit: Visit, id_: str) -> Response:
        """Show a link that nobody will show again; an older one of the same person ends."""
        await self._known(id_)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._database.transaction() as tx:
            made = await accounts.invite(tx, id_, self._hash(token), lasting=INVITED_FOR)
        if not made:
            raise of_status(NOT_FOUND)
        # A proxy that ends TLS may speak plain http to us.
        scheme = "https" if self._over_https else request.url.scheme
        link = str(request.url.replace(scheme=scheme, path=f"/invitation/{token}", query="", fragment=""))
        response = await self.one(request, visit, id_, NOTHING, link=link)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _hash(self, token: str) -> bytes:
        return self._door.hash("invitation", token)

    async def invited(self, request: Request, token: str, *, wrong: str = "", status: int = 200) -> Response:
        """The form by which the owner of the link chooses a password."""
        visitor = await self._door.visitor(request)
        person = None
        if _TOKEN.fullmatch(token):
            async with self._database.reading() as tx:
                person = await accounts.invited(tx, self._hash(token))
        context: dict[str, Any] = {"invited": person, "wrong": wrong, "least": MIN_PASSWORD, "most": MAX_PASSWORD}
        return self._pages.page(
            request, visitor, "invitation.html", status=status if person else _GONE, token=token, **context
        )

    async def choose(self, request: Request, token: str, form: Form) -> Response:
        """Store the password, and log its owner in."""
        password = form.fields.get("password", "")
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            return await self.invited(request, token, wrong="length", status=WRONG)
        if password != form.fields.get("again", ""):
            return await self.invited(request, token, wrong="again", status=WRONG)
        token_hash = self._hash(token)
        async with self._database.reading() as tx:
            person = await accounts.invited(tx, token_hash)
        # Hashing costs much: only for who has a link.
        if person is None:
            return await self.invited(request, token)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:
            taken = await accounts.take_up(tx, person, token_hash, password_hash=password_hash)
        if not taken:
            return await self.invited(request, token)
        answer = RedirectResponse("/", SEE_OTHER)
        await self._door.open(request, answer, person)
        return answer
