"""`/v1/account-scores`: what accounts say as a whole, so that a 9 from a user does not hide a 4 from who decides."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from libs.events.contracts.responses import SurveyKind
from libs.events.contracts.scores import NpsClass
from libs.statistics.nps import CONFIDENCE
from libs.webapi.app import database_of
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import Reader
from services.scoring.domain.account_scores import AccountScore, ContactAnswer, Role
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import account_scores, accounts, customers, rules

router: Final = Router(prefix="/v1/account-scores", tags=["accounts"])

_BEGIN: Final = (-1.0, "")
_DIGITS: Final = 2


class Answer(BaseModel):
    """The latest answer of one contact."""

    customer_id: str
    name: str
    role: Role
    response_id: str
    program: str
    score: int
    nps_class: NpsClass
    answered_at: datetime


class OfRole(BaseModel):
    """What the contacts in one role say."""

    role: Role
    weight: float
    contacts: int
    n: int
    mean: float | None
    worst: int | None


class ScoreOfKind(BaseModel):
    """The score in one kind of survey, from 0 to 10; kinds are never mixed."""

    kind: SurveyKind
    score: float = Field(description="The mean of the contacts' latest answers, weighted by role.")
    n: int = Field(description="How many contacts answered within the window.")
    contacts: int
    confidence: float = Field(description="Of the interval.")
    ci_low: float = Field(description="Where the score would be if all contacts had answered: docs/statistics.md.")
    ci_high: float
    flagged: bool = Field(description="A decision maker is a detractor, whatever the mean says.")
    unhappy_decision_makers: list[Answer]
    explanation: str
    roles: list[OfRole]
    answers: list[Answer] = Field(description="The worst first.")


class ScoresOfAccount(BaseModel):
    """One score for each kind of survey that a contact answered within the window; none where nobody did."""

    account_id: str
    account_name: str | None
    days: int = Field(description="The window: older answers do not count.")
    scores: list[ScoreOfKind]


class AccountInList(BaseModel):
    """An account as the list shows it."""

    account_id: str
    account_name: str | None
    kind: SurveyKind
    score: float
    ci_low: float | None = Field(description="Null where the score was computed before there were intervals.")
    ci_high: float | None
    n: int
    contacts: int
    flagged: bool
    computed_at: datetime


@router.get("", summary="Accounts by their score, the worst first")
async def list_(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    kind: SurveyKind = "relationship",
    show: Annotated[
        Literal["all", "flagged"], Query(description="`flagged`: only where a decision maker is a detractor.")
    ] = "all",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AccountInList]:
    """Follows what happens within moments. Those of whom nobody answered within the window are not in the list."""
    after = _BEGIN if cursor is None else decode_cursor(cursor, tuple[float, str])
    async with database_of(request).reading() as tx:
        found = await account_scores.page(tx, kind=kind, flagged=show == "flagged", after=after, limit=limit + 1)
    items = [
        AccountInList(
            account_id=row.account_id,
            account_name=row.name,
            kind=kind,
            score=round(row.score, _DIGITS),
            ci_low=None if row.ci_low is None else round(row.ci_low, _DIGITS),
            ci_high=None if row.ci_high is None else round(row.ci_high, _DIGITS),
            n=row.answered,
            contacts=row.contacts,
            flagged=row.flagged,
            computed_at=row.computed_at,
        )
        for row in found[:limit]
    ]
    last = found[:limit][-1] if len(found) > limit else None
    return Page(items=items, next_cursor=None if last is None else encode_cursor((last.score, last.account_id)))


@router.get("/{account_id:path}", summary="What an account says as a whole")
async def get(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    account_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)],
) -> ScoresOfAccount:
    """By the answers that there are at this moment, and the role weights of the segment rules."""
    async with database_of(request).reading() as tx:
        scoring = (await rules.current(tx)).rules.accounts
        account = await accounts.find(tx, account_id)
        found = (await account_scores.compute(tx, [account_id], scoring)).get(account_id, {})
        if account is None and not found and not await customers.page(tx, after="", limit=1, account_id=account_id):
            raise of_status(404, detail="No such account.")
    return ScoresOfAccount(
        account_id=account_id,
        account_name=None if account is None else account.name,
        days=scoring.days,
        scores=[_of_kind(score) for _, score in sorted(found.items())],
    )


def _of_kind(score: AccountScore) -> ScoreOfKind:
    return ScoreOfKind(
        kind=score.kind,
        score=round(score.score, _DIGITS),
        confidence=CONFIDENCE,
        n=score.answered,
        contacts=score.contacts,
        ci_low=round(score.low, _DIGITS),
        ci_high=round(score.high, _DIGITS),
        flagged=score.flagged,
        unhappy_decision_makers=[_answer(each) for each in score.unhappy_deciders],
        explanation=score.explained(),
        roles=[
            OfRole(
                role=each.role,
                weight=each.weight,
                contacts=each.contacts,
                n=each.answered,
                mean=None if each.mean is None else round(each.mean, _DIGITS),
                worst=each.worst,
            )
            for each in score.roles
            if each.contacts
        ],
        answers=[_answer(each) for each in score.answers],
    )


def _answer(answer: ContactAnswer) -> Answer:
    return Answer(**answer._asdict())
