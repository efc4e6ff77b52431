"""A campaign in tests: planned, approved by somebody else, started, carried out."""

from typing import Any, Final

import httpx

from services.notify import campaigns
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import World

ELENA: Final = {"Otklik-Person": "e-elena", "Otklik-Role": "manager"}
BORIS: Final = {"Otklik-Person": "e-boris", "Otklik-Role": "executive"}
RU: Final = {
    "subject": "Вы ждали – мы перезваниваем",
    "about": "ожидание на линии",
    "learned": "Каждый третий ждал дольше пяти минут.\n\nЧаще по понедельникам.",
    "changed": "Теперь мы перезваниваем сами.",
    "next_steps": "Летом так же будет в чате.",
}
EN: Final = {"subject": "You waited, we call back", "learned": "One in three waited.", "changed": "Now we call back."}


def a_plan(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    plan: dict[str, Any] = {
        "name": "Перезваниваем сами",
        "initiative_ids": ["i-1"],
        "audience": {"customers": {"which": "everybody"}},
        "content": {"ru": RU, "en": EN},
        "per_minute": 100_000,
    }
    return plan | changes


async def post_json(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], who: dict[str, str] = ELENA
) -> httpx.Response:
    return await client.post(path, json=body, headers=who)


async def a_campaign(world: World, client: httpx.AsyncClient, **changes: Any) -> str:  # noqa: ANN401
    await world.initiatives(world.shipped())
    created = await post_json(client, "/v1/campaigns", a_plan(**changes))
    assert created.status_code == 201, created.text
    campaign_id: str = created.json()["id"]
    return campaign_id


async def started(world: World, client: httpx.AsyncClient, **changes: Any) -> str:  # noqa: ANN401
    campaign_id = await a_campaign(world, client, **changes)
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/approve", {}, BORIS)).status_code == 200
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/start", {})).status_code == 200
    return campaign_id


async def carried_out(world: World, post: Post) -> None:
    """Until nothing more happens by itself."""
    for _ in range(50):
        more = await campaigns.step(world.database)
        await post.rest()
        if not more:
            break
    await campaigns.step(world.database)


async def state(client: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
    found = await client.get(f"/v1/campaigns/{campaign_id}", headers=ELENA)
    body: dict[str, Any] = found.json()
    return body
