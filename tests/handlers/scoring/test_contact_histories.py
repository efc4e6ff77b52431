"""Who changed how a customer may be reached: noted with every profile and every unsubscription, erased with them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from libs.events.contracts.responses import CustomerUnsubscribed
from libs.events.database import Database
from libs.events.event import Event, EventId
from services.scoring.unsubscriptions import withdraw_consents

ACustomer = Callable[..., dict[str, Any]]

PATH = "/v1/customers/c-1"


def unsubscribed(at: datetime, customer: str = "c-1") -> Event[CustomerUnsubscribed]:
    said = CustomerUnsubscribed(
        customer_id=customer, address_mark=None, source="delighted", vendor="delighted", channel="email",
        unsubscribed_at=at, received_at=at,
    )  # fmt: skip
    return Event.root(EventId(uuid4()), said, subject=customer, time=at, source="/ingest")


async def history(client: httpx.AsyncClient, **params: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - query values
    answer = await client.get("/v1/contact-changes", params={"customer_id": "c-1", **params})
    assert answer.status_code == 200, answer.text
    return [
        (each["what"], each["before"], each["after"], each["came_by"], each["told_by"])
        for each in answer.json()["items"]
    ]


async def test_each_change_is_told_with_who_made_it_when_and_by_which_way(
    client: httpx.AsyncClient, database: Database, a_customer: ACustomer
) -> None:
    now = datetime.now(UTC)
    await client.put(PATH, json=a_customer())
    olga = {"Otklik-Person": "olga", "Otklik-Role": "manager"}
    await client.put(PATH, json=a_customer(language="en", time_zone="Asia/Omsk"), headers=olga)
    async with database.transaction() as tx:
        await withdraw_consents(tx, [unsubscribed(now - timedelta(hours=1))])
    # A yes that tells no time means nothing after that, however often it is repeated.
    await client.put(PATH, json=a_customer(language="en", time_zone="Asia/Omsk"))
    consented_at = (now - timedelta(minutes=5)).isoformat()
    anew = a_customer(language="en", time_zone="Asia/Omsk", email_consent_at=consented_at)
    await client.put(PATH, json=anew)
    await client.put(PATH, json=anew)

    told = await history(client)

    assert told == [
        ("email_consent", "no", "yes", "profile", "crm"),
        ("email_consent", "yes", "no", "survey_vendor", "delighted"),
        ("time_zone", "Europe/Moscow", "Asia/Omsk", "profile", "crm/olga"),
        ("language", "ru", "en", "profile", "crm/olga"),
        ("email_consent", None, "yes", "profile", "crm"),
    ]
    items = (await client.get("/v1/contact-changes", params={"customer_id": "c-1"})).json()["items"]
    assert datetime.fromisoformat(items[0]["said_at"]) == datetime.fromisoformat(consented_at)
    assert datetime.fromisoformat(items[1]["said_at"]) == now - timedelta(hours=1)
    page = (await client.get("/v1/contact-changes", params={"customer_id": "c-1", "limit": 4})).json()
    assert await history(client, cursor=page["next_cursor"]) == told[4:]


async def test_who_had_unsubscribed_before_they_were_known_begins_without_a_consent(
    client: httpx.AsyncClient, database: Database, a_customer: ACustomer
) -> None:
    async with database.transaction() as tx:
        await withdraw_consents(tx, [unsubscribed(datetime.now(UTC) - timedelta(days=1))])
    await client.post("/v1/customers/batch", json={"items": [a_customer(id="c-1"), a_customer(id="c-2")]})
    assert await history(client) == [("email_consent", None, "no", "earlier_unsubscription", "crm")]
    assert (await client.get(PATH)).json()["email_consent"] is False


async def test_an_erasure_reaches_the_history(client: httpx.AsyncClient, a_customer: ACustomer) -> None:
    await client.put(PATH, json=a_customer())
    assert len(await history(client)) == 1
    await client.delete(PATH)
    assert await history(client) == []
