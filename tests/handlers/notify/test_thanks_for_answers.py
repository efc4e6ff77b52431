"""Customers are thanked for answers that made no case: once each, and as a courtesy that gives way to every rule."""

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.events.contracts.cases import ThanksRequested
from libs.events.event import Event
from tests.handlers.notify.world import World

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def asked(world: World, response: str, customer: str = "c-1") -> Event[Any]:
    request = ThanksRequested(
        response_id=response,
        customer_id=customer,
        program="retail",
        touchpoint=None,
        nps_class="promoter",
        answered_at=MONDAY - timedelta(hours=1),
    )
    event: Event[Any] = world.event(request, response, f"thanks/{response}")
    return event


async def test_each_request_is_one_message_to_the_customer_and_who_takes_no_mail_gets_none(world: World) -> None:
    await world.customers(world.profile("c-1"), world.profile("c-2", email_consent=False))
    await world.cases(asked(world, "r-1"), asked(world, "r-2", "c-2"))
    await world.cases(asked(world, "r-1"))
    assert [(row.kind, row.case_id, row.recipient, row.status, row.reason) for row in await world.rows()] == [
        ("thanks", None, "customer:c-1", "queued", None),
        ("thanks", None, "customer:c-2", "suppressed", "no_consent"),
    ]
