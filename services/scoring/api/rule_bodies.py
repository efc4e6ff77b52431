"""Segment rules as bodies of requests and answers, and as the domain reads them."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from libs.events.contracts.scores import Tier
from libs.webapi.problem import Problem
from services.scoring.api.field_errors import field_errors
from services.scoring.domain.conditions import Operator
from services.scoring.domain.segment_documents import (
    MAX_CHOICES,
    MAX_CONDITIONS,
    MAX_DAYS,
    MAX_RULES,
    MAX_WEIGHT,
    InvalidRules,
    parse,
)
from services.scoring.domain.segments import AccountScoring, Cuts, Rules

Value = str | bool | int | float
Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT)]


class ConditionBody(BaseModel):
    """One field of a customer against one value, a choice of values (`in`), or a share of all (`top`, `bottom`)."""

    field: str = Field(
        description="current_value, potential_value, account_role, account_id, product, attributes.<name> of the "
        "customer or account.<name> of the account."
    )
    op: Operator
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_CHOICES)]


class RuleBody(BaseModel):
    """A tier for customers who meet all the conditions."""

    tier: Tier
    when: Annotated[list[ConditionBody], Field(min_length=1, max_length=MAX_CONDITIONS)]


class RuleSetBody(BaseModel):
    """Rules in their order: the first that matches decides, and where none does, the default."""

    model_config = ConfigDict(extra="forbid")

    default: Tier = "standard"
    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)] = []


class AccountsBody(BaseModel):
    """How the latest answers of an account's contacts become its score."""

    decision_maker: Weight = AccountScoring().decision_maker
    end_user: Weight = AccountScoring().end_user
    other: Weight = AccountScoring().other
    days: Annotated[int, Field(ge=1, le=MAX_DAYS, description="Older answers do not count.")] = AccountScoring().days


class RulesBody(RuleSetBody):
    """The main rules, which give a customer's tier; and rules by which a program values its own answers."""

    programs: dict[str, RuleSetBody] = {}
    accounts: AccountsBody = AccountsBody()


class CutPoint(BaseModel):
    """Where a share begins; null where no customer has the value. Equal values are all in."""

    field: str
    op: Operator
    share: float
    cut: float | None


class RulesInForce(RulesBody):
    """The rules with their version. `customers_waiting` still have their tier by older rules or cut points."""

    version: int
    created_at: datetime
    created_by: str
    customers_waiting: int
    cut_points: list[CutPoint] = Field(description="Counted when the rules are put into force, and every day.")
    cut_points_at: datetime
    cut_points_customers: int = Field(description="How many customers there were then.")


# Read by the domain and not by these models, because its errors are better; the models say what it reads.
_SCHEMA: Final = RulesBody.model_json_schema(ref_template="#/components/schemas/{model}")
del _SCHEMA["$defs"]
Document = Annotated[dict[str, Any], Body(), WithJsonSchema(_SCHEMA)]


def parsed(document: object) -> Rules:
    """The rules that the document says; a 422 that tells each mistake with its place otherwise."""
    try:
        return parse(document)
    except InvalidRules as error:
        raise Problem(
            422,
            "invalid-segment-rules",
            "The segment rules are not valid",
            errors=field_errors(error.errors),
        ) from error


def cut_points_of(cuts: Cuts) -> list[CutPoint]:
    """Where shares begin, as it is told."""
    return [
        CutPoint(field=quantile.field, op=quantile.op, share=quantile.share, cut=cut) for quantile, cut in cuts.items()
    ]
