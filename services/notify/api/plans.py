"""The bodies in which campaigns, audiences and their texts are written down over HTTP."""

from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.events.contracts.scores import Tier
from libs.webapi.instants import Instant
from services.notify.domain import campaigns as domain

ID_PATTERN: Final = r"^[A-Za-z0-9._:@-]{1,128}$"
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=150, pattern=r"^[^\r\n]+$")]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]
_Id = Annotated[str, Field(pattern=ID_PATTERN)]
_Ids = Annotated[tuple[_Id, ...], Field(max_length=50)]


class Body(BaseModel):
    """A field that we do not know is an error, not a wish that is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomersBody(Body):
    """Which customers; an empty filter leaves nobody out."""

    which: Annotated[
        Literal["raised", "respondents", "everybody"],
        Field(
            description="`raised`: whose comments had one of the themes or whose cases one of the root causes; "
            "`respondents`: who answered any survey; `everybody`: all customers that are known."
        ),
    ]
    themes: _Ids = ()
    root_causes: _Ids = ()
    programs: _Ids = ()
    since: Annotated[Instant | None, Field(description="Of the answers that count.")] = None
    until: Instant | None = None
    tiers: Annotated[tuple[Tier, ...], Field(max_length=4)] = ()

    @model_validator(mode="after")
    def _raised_something(self) -> "CustomersBody":
        if self.which == "raised" and not self.themes and not self.root_causes:
            raise ValueError("themes or root_causes, for those who raised something")
        return self


class AudienceBody(Body):
    """Whom it is for; nobody is in it twice."""

    customers: CustomersBody | None = None
    lists: Annotated[_Ids, Field(description="Lists of employees and of partners.")] = ()

    @model_validator(mode="after")
    def _somebody(self) -> "AudienceBody":
        if self.customers is None and not self.lists:
            raise ValueError("customers or lists")
        return self

    def domain(self) -> domain.Audience:
        """As the domain has it."""
        return msgspec.convert(self.model_dump(), domain.Audience)


class TextBody(Body):
    """What it says in one language; empty lines part paragraphs."""

    subject: _Line
    about: Annotated[_Line | None, Field(description="To go on after “you told us on 3 March about …”.")] = None
    learned: _Words
    changed: _Words
    next_steps: _Words | None = None


class ContentBody(Body):
    """What it says, in both languages."""

    ru: TextBody
    en: TextBody


class PlanBody(Body):
    """A campaign as it is written down, and approved."""

    name: _Line
    initiative_ids: Annotated[tuple[_Id, ...], Field(min_length=1, max_length=20)]
    audience: AudienceBody
    content: ContentBody
    per_minute: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 600
    is_public: Annotated[bool, Field(strict=True, description="Whether `/changes` tells it too.")] = True

    def domain(self) -> domain.Plan:
        """As the domain has it."""
        return msgspec.convert(self.model_dump(), domain.Plan)


def written(plan: domain.Plan) -> PlanBody:
    """A stored plan as its body."""
    encoded: Any = msgspec.to_builtins(plan)
    return PlanBody.model_validate(encoded)
