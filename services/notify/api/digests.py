"""`/v1/digests`: what the employees' digests said, for everybody who works here; and who wants none."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, StrictBool

from libs.events.contracts.customers import Language
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.digest_words import sections, span
from services.notify.domain.digests import LEADS, Digest, Kind
from services.notify.store import digests

router: Final = Router(prefix="/v1/digests", tags=["digests"])

# How the company is doing is everybody's business, and customers' words are masked.
Reader = Annotated[Principal, requires("messages:read")]
Chooser = Annotated[Principal, requires("messages:write")]

_LISTED: Final = 26
InLanguage = Annotated[Language, Query(description="In which it is said.")]


class Line(BaseModel):
    """What it is about, and what is said of it."""

    about: str
    said: str


class Thanked(BaseModel):
    """Somebody who was named; whether they still want to be, casework knows."""

    agent_id: str
    about: str
    said: str


class Listed(BaseModel):
    """A digest."""

    id: UUID
    kind: Kind
    starts: date
    ends: date
    """The first day after."""
    span: str
    frozen_at: datetime
    told_at: datetime | None


class DigestShown(Listed):
    """A digest and what it says."""

    scores: list[Line]
    quotes: list[Line]
    themes: list[Line]
    departments: list[Line]
    deeds: list[Line]
    loop: list[Line]
    thanked: list[Thanked]
    owed: list[Line]
    """What is late; to those who lead alone."""


class Choices(BaseModel):
    """Which digests one gets."""

    weekly: bool
    monthly: bool


class ChoiceBody(BaseModel):
    """Whether one wants them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wanted: StrictBool


@router.get("", summary="Digests, the latest first")
async def list_digests(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    language: InLanguage = "ru",
    kind: Kind | None = None,
) -> list[Listed]:
    """Half a year of weeks, or what there is."""
    async with database_of(request).reading() as tx:
        found = await digests.latest(tx, kind, _LISTED)
    return [Listed(**_identity(each, language)) for each in found]


@router.get("/choices", summary="Which digests one gets")
async def get_choices(request: Request, principal: Reader) -> Choices:
    """One's own."""
    async with database_of(request).reading() as tx:
        return _choices(await digests.refused(tx, _person(principal)))


@router.put(
    "/choices/{kind}",
    responses={200: {"model": Choices}},
    openapi_extra=REPEATABLE,
    summary="Turn one's digests of a kind on or off",
)
async def put_choice(request: Request, principal: Chooser, kind: Kind, body: ChoiceBody) -> Response:
    """One's own; what waits to be sent is held back too."""
    person = _person(principal)

    async def command(tx: Tx, _command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        await digests.choose(tx, person, kind, wanted=body.wanted)
        return 200, _choices(await digests.refused(tx, person)), {}

    return await once(database_of(request), request, principal, command)


@router.get("/{digest_id}", summary="A digest")
async def get_digest(request: Request, principal: Reader, digest_id: UUID, language: InLanguage = "ru") -> DigestShown:
    """As it was frozen, but for words of customers who were erased since."""
    async with database_of(request).reading() as tx:
        digest = (await digests.find(tx, [digest_id])).get(digest_id)
    if digest is None:
        raise of_status(404, detail="No such digest.")
    return shown(digest, language, is_lead=principal.role is None or principal.role in LEADS)


def shown(digest: Digest, language: Language, *, is_lead: bool) -> DigestShown:
    """What it says to those of a role, in a language."""
    said = sections(digest, language, is_lead=is_lead)
    thanked = [
        Thanked(agent_id=each.agent_id, about=about, said=line)
        for each, (about, line) in zip(digest.content.thanked, said.pop("thanked"), strict=True)
    ]
    quotes = [Line(about=about, said=words) for words, about in said.pop("quotes")]
    lines: dict[str, Any] = {name: _lines(rows) for name, rows in said.items()}
    return DigestShown(**_identity(digest, language), thanked=thanked, quotes=quotes, **lines)


def _lines(rows: Sequence[tuple[str, str]]) -> list[Line]:
    return [Line(about=about, said=said) for about, said in rows]


def _identity(digest: Digest, language: Language) -> dict[str, Any]:
    return {
        "id": digest.id,
        "kind": digest.period.kind,
        "starts": digest.period.starts,
        "ends": digest.period.ends,
        "span": span(digest.period, language),
        "frozen_at": digest.frozen_at,
        "told_at": digest.told_at,
    }


def _choices(refused: set[Kind]) -> Choices:
    return Choices(weekly="weekly" not in refused, monthly="monthly" not in refused)


def _person(principal: Principal) -> str:
    if principal.person_id is None:
        raise Problem(403, "no-person", "Only a person can do this", detail="Send Otklik-Person and Otklik-Role.")
    return principal.person_id
