"""Who may do what with subscriptions, and what a request finds in its app."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request

from libs.events.database import Tx
from libs.webapi.auth import Principal, requires
from libs.webapi.problem import Problem, of_status
from services.notify.domain.addresses import Networks
from services.notify.domain.subscriptions import Subscription, SubscriptionId
from services.notify.domain.visibility import Kind
from services.notify.store import subscriptions

_OPERATORS: Final = frozenset({"operator", "administrator"})

SubscriptionsReader = Annotated[Principal, requires("subscriptions:read", roles=_OPERATORS)]
SubscriptionsWriter = Annotated[Principal, requires("subscriptions:write", roles=_OPERATORS)]

_SCOPE_OF: Final[dict[Kind, str]] = {"comments": "events:comments", "people": "events:people"}


@dataclass(frozen=True, slots=True)
class HookRules:
    """Where web hooks may go."""

    networks: Networks
    plain_http: bool = False


def rules_of(request: Request) -> HookRules:
    """Where web hooks may go."""
    rules: HookRules = request.app.state.hook_rules
    return rules


def owner_for(principal: Principal) -> str | None:
    """Whose subscriptions a caller sees: a key its own, a person everybody's."""
    return principal.name if principal.person_id is None else None


def refuse_unseen(principal: Principal, kinds: frozenset[Kind]) -> None:
    """A problem where a subscription would see what its maker may not."""
    for kind in sorted(kinds):
        scope = _SCOPE_OF.get(kind)
        if scope is not None and scope not in principal.scopes:
            raise Problem(
                403,
                "missing-scope",
                "The key lacks a scope",
                detail=f"To see {kind} needs the scope {scope}.",
                extra={"scope": scope},
            )
        if scope is not None and principal.role not in (None, "administrator"):
            raise Problem(
                403,
                "role-not-allowed",
                "The person's role does not allow this",
                detail=f"Only an administrator may have {kind} sent.",
                extra={"roles": ["administrator"]},
            )


async def found(tx: Tx, principal: Principal, subscription_id: UUID) -> Subscription:
    """The subscription, where it is one that the caller sees; 404 otherwise."""
    subscription = await subscriptions.get(tx, SubscriptionId(subscription_id), owner=owner_for(principal))
    if subscription is None:
        raise of_status(404, detail="No such subscription.")
    return subscription


async def held(tx: Tx, principal: Principal, subscription_id: UUID) -> Subscription:
    """The same, locked for a change."""
    subscription = await subscriptions.hold(tx, SubscriptionId(subscription_id), owner=owner_for(principal))
    if subscription is None:
        raise of_status(404, detail="No such subscription.")
    return subscription
