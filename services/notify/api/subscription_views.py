"""How subscriptions are answered over HTTP, and how a field of one is refused."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.webapi.problem import Problem
from services.notify.domain.subscriptions import Disabled, Subscription
from services.notify.domain.visibility import Kind

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Contact(BaseModel):
    """The employee who answers for a subscription, and is told when it is disabled."""

    model_config = ConfigDict(extra="forbid")

    employee_id: Text
    name: Text
    email: Annotated[str, Field(min_length=3, max_length=254)]
    language: Literal["ru", "en"]


class SubscriptionOut(BaseModel):
    """A subscription; its secret is told once, when it is made or rotated."""

    id: UUID
    owner: str
    name: str
    url: str
    types: list[str]
    sees: list[Kind]
    contact: Contact
    enabled: bool
    disabled_reason: Disabled | None
    failing_since: datetime | None
    """Since then nothing could be delivered."""
    paused_until: datetime | None
    """The receiver asked to be left alone until then."""
    previous_secret_until: datetime | None
    """Until then everything is signed by the previous secret, too."""
    created_at: datetime
    changed_at: datetime


def out(subscription: Subscription) -> SubscriptionOut:
    """A subscription as its readers see it."""
    contact = subscription.contact
    return SubscriptionOut(
        id=subscription.id,
        owner=subscription.owner,
        name=subscription.name,
        url=subscription.url,
        types=list(subscription.types),
        sees=sorted(subscription.sees),
        contact=Contact(
            employee_id=contact.employee_id, name=contact.name, email=contact.email, language=contact.language
        ),
        enabled=subscription.disabled is None,
        disabled_reason=subscription.disabled,
        failing_since=subscription.failing_since,
        paused_until=subscription.paused_until,
        previous_secret_until=subscription.previous_until,
        created_at=subscription.created_at,
        changed_at=subscription.changed_at,
    )


def invalid(pointer: str, detail: str) -> Problem:
    """A 422 about one field."""
    return Problem(422, "invalid", "The request is not valid", errors=[{"pointer": pointer, "detail": detail}])
