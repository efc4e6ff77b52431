"""Who may do what with casework: one name per rule, who acts, and shapes that several routes share."""

from typing import Annotated, Final

from fastapi import Path, Request

from libs.events.telemetry import traceparent_or_new
from libs.webapi.auth import Principal, requires
from libs.webapi.problem import FieldError, Problem
from services.casework.domain.timeline import Actor

# Who closes loops acts on their own cases and on those of others: a customer who calls must not wait for the owner.
_CLOSES_LOOPS = frozenset({"agent", "manager", "executive", "administrator"})
_LEADS = frozenset({"manager", "executive", "administrator"})
_DECIDES = frozenset({"executive", "administrator"})
# Operators run the system: they see how it is set up, and nothing that a customer said.
_SEES_SETTINGS = _CLOSES_LOOPS | {"operator"}

CaseReader = Annotated[Principal, requires("cases:read", roles=_CLOSES_LOOPS)]
LeadReader = Annotated[Principal, requires("cases:read", roles=_LEADS)]
CaseWriter = Annotated[Principal, requires("cases:write", roles=_CLOSES_LOOPS)]
# Level 2 proposes and sees to changes, level 3 decides on them.
LeadWriter = Annotated[Principal, requires("cases:write", roles=_LEADS)]
TopWriter = Annotated[Principal, requires("cases:write", roles=_DECIDES)]
# How the loop is doing is everybody's business: no customer is in it.
MeasureReader = Annotated[Principal, requires("cases:read", roles=_SEES_SETTINGS | {"employee"})]
# What people say about themselves is theirs to say, whatever they do here.
ChoiceReader = Annotated[Principal, requires("cases:read", roles=_CLOSES_LOOPS | {"employee"})]
ChoiceWriter = Annotated[Principal, requires("cases:write", roles=_CLOSES_LOOPS | {"employee"})]
# Everybody with their address and what they have to do.
StaffReader = Annotated[Principal, requires("settings:read", roles=_LEADS)]
SettingsReader = Annotated[Principal, requires("settings:read", roles=_SEES_SETTINGS)]
SettingsWriter = Annotated[Principal, requires("settings:write", roles=_LEADS)]

ID_PATTERN: Final = r"^[A-Za-z0-9._:@-]{1,128}$"
Id = Annotated[str, Path(pattern=ID_PATTERN)]


def actor_of(principal: Principal) -> Actor:
    """Who acts, for the timeline: the person spoken for, else the key by its name."""
    if principal.person_id is not None:
        return Actor("person", principal.person_id)
    return Actor("key", principal.name)


def traceparent_of(request: Request) -> str:
    """The trace that the command belongs to."""
    return traceparent_or_new(request.headers.get("traceparent"))


def refused_field(
    pointer: str, detail: str, *, slug: str = "invalid", title: str = "The request is not valid"
) -> Problem:
    """A 422 about one field that only the database could judge."""
    errors: list[FieldError] = [{"pointer": pointer, "detail": detail}]
    return Problem(422, slug, title, errors=errors)
