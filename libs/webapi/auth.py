"""Who calls, and what they may do: API keys with scopes, and the person whom a trusted key speaks for.

A route states its rule in its signature:

    principal: Annotated[Principal, requires("cases:write", roles={"agent", "manager"})]

The key must have the scope. A key with the scope `on-behalf` may name a person by the headers `Otklik-Person` and
`Otklik-Role`; then that role must be one of `roles` too. Without the headers a key speaks for itself, by its scopes.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from libs.webapi import keys
from libs.webapi.problem import Problem, of_status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from libs.events.database import Database
    from libs.webapi.keys import ApiKey

Role = Literal["agent", "manager", "executive", "employee", "operator", "administrator"]
ROLES: Final[frozenset[str]] = frozenset(get_args(Role))

ON_BEHALF: Final = "on-behalf"
PERSON_HEADER: Final = "Otklik-Person"
ROLE_HEADER: Final = "Otklik-Role"

_PERSON_SHAPE: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_BEARER: Final = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="otk_…",
    description="An API key of this service: `Authorization: Bearer otk_…`. The scope is named at each operation.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the key's name and scopes, and the person it speaks for, if any."""

    name: str
    scopes: frozenset[str]
    person_id: str | None = None
    role: Role | None = None

    @property
    def subject(self) -> str:
        """One string per caller; keys of one name (a rotated key) are one caller."""
        return self.name if self.person_id is None else f"{self.name}/{self.person_id}"


class KeyRing:
    """The keys in use, remembered for a few seconds per process, so that a hot path does not ask for each request.

    Only keys that exist are remembered: a new key works at once, and guesses cannot push good keys out.
    """

    def __init__(
        self,
        database: Database,
        *,
        seconds: float = 5.0,
        capacity: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[ApiKey | None]] = {}

    async def find(self, key: str) -> ApiKey | None:
        """The key's record, at most `seconds` old."""
        known = self._known.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        # Requests that meet the same unknown key share one question; a cancelled request does not cancel it.
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key))
            self._asking[key] = task
            task.add_done_callback(lambda _done: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: str) -> ApiKey | None:
        found = await keys.find_key(self._database, key)
        self._known.pop(key, None)
        if found is not None:
            self._known[key] = (self._clock() + self._seconds, found)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return found


class Access:
    """Base of every dependency that decides who may pass: a route without one is open to everybody.

    The tests walk all routes and look for it.
    """


@dataclass(frozen=True)
class Rule(Access):
    """What a route asks of a program that calls it."""

    scope: str
    roles: frozenset[str] | None

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Principal:
        """The caller, if the rule lets them pass."""
        principal = await authenticate(request, credentials)
        if self.scope not in principal.scopes:
            raise Problem(
                403,
                "missing-scope",
                "The key lacks a scope",
                detail=f"This needs the scope {self.scope}.",
                extra={"scope": self.scope},
            )
        if principal.role is not None and self.roles is not None and principal.role not in self.roles:
            raise Problem(
                403,
                "role-not-allowed",
                "The person's role does not allow this",
                detail=f"This needs one of the roles {', '.join(sorted(self.roles))}.",
                extra={"roles": sorted(self.roles)},
            )
        return principal


def requires(scope: str, *, roles: Collection[str] | None = None) -> Any:  # noqa: ANN401 - a FastAPI marker
    """The dependency that lets only keys with `scope` pass, and of persons only those with one of `roles`."""
    unknown = set(roles or ()) - ROLES
    if unknown:
        raise ValueError(f"unknown roles: {sorted(unknown)}")
    return Security(Rule(scope, None if roles is None else frozenset(roles)), scopes=[scope])


async def authenticate(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    """The caller, by the Authorization header and the on-behalf headers; a problem otherwise."""
    ring: KeyRing = request.app.state.keyring
    if credentials is None:
        raise _unauthenticated("Send an API key: Authorization: Bearer otk_…", error=None)
    secret = credentials.credentials
    key = await ring.find(secret) if keys.well_formed(secret) else None
    if key is None:
        raise _unauthenticated("The API key is unknown or revoked.", error="invalid_token")
    person = request.headers.get(PERSON_HEADER)
    role = request.headers.get(ROLE_HEADER)
    if person is None and role is None:
        return Principal(key.name, key.scopes)
    if ON_BEHALF not in key.scopes:
        raise Problem(
            403,
            "missing-scope",
            "The key lacks a scope",
            detail=f"Speaking for a person needs the scope {ON_BEHALF}.",
            extra={"scope": ON_BEHALF},
        )
    if person is None or role is None or _PERSON_SHAPE.fullmatch(person) is None or role not in ROLES:
        raise of_status(400, detail=f"{PERSON_HEADER} (a person's id) and {ROLE_HEADER} (a known role) come together.")
    return Principal(key.name, key.scopes, person, role)  # type: ignore[arg-type] # a member of ROLES


def _unauthenticated(detail: str, *, error: str | None) -> Problem:
    challenge = 'Bearer realm="otklik"' + (f', error="{error}"' if error else "")
    return of_status(401, detail=detail, headers={"WWW-Authenticate": challenge})
