"""Templates over HTTP: drafted, checked, looked at, published; and what mails that are under way are written by."""

from datetime import timedelta

import httpx
import pytest

from libs.events.database import Database
from services.notify.shipping import release
from services.notify.store import templates
from services.notify.templating import Source, shipped
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


@pytest.fixture
async def _shipped(database: Database) -> None:
    async with database.transaction() as tx:
        assert await templates.ship(tx, release()) == len(release())
        assert await templates.ship(tx, release()) == 0, "once is enough"


def parts(source: Source, **changes: str) -> dict[str, str]:
    return {"subject": source.subject, "text": source.text, "html": source.html} | changes


MINE = parts(shipped("en", "case_assigned"), subject="Yours: {{ due_short }}", note="shorter")


@pytest.mark.usefixtures("_shipped")
async def test_the_shipped_templates_are_version_one_and_are_shown_in_both_languages(
    client: httpx.AsyncClient,
) -> None:
    listed = (await client.get("/v1/templates")).json()["items"]
    assert {(each["version"], each["in_use"], each["shipped"]) for each in listed} == {(1, True, True)}
    assert len(listed) == len(release())
    shown = (await client.get("/v1/templates/new_contact/preview")).json()
    assert {each["language"] for each in shown} == {"ru", "en"}
    assert "Теперь с Вами на связи Анна Петрова" in {each["subject"] for each in shown}
    assert all("<html" in each["html"] and each["text"].strip() for each in shown)


@pytest.mark.usefixtures("_shipped")
async def test_a_draft_is_made_checked_changed_published_and_put_back(client: httpx.AsyncClient) -> None:
    address = "/v1/templates/case_assigned/en"
    bad = parts(shipped("en", "case_assigned"), html="{{ nothing }}")
    tried = await client.post(f"{address}/check", json=bad)
    assert tried.status_code == 200
    assert tried.json()["faults"]

    made = await client.post(address, json=bad)
    assert (made.status_code, made.json()["version"], made.json()["in_use"]) == (201, 2, False)
    refused = await client.post(f"{address}/2/publish")
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("template-faulty")
    assert (await client.get(f"{address}/1")).json()["in_use"]

    changed = await client.put(f"{address}/2", json=MINE, headers={"If-Match": made.headers["ETag"]})
    assert changed.status_code == 200
    late = await client.put(f"{address}/2", json=MINE, headers={"If-Match": made.headers["ETag"]})
    assert late.status_code == 412
    trial = (await client.post(f"{address}/2/check")).json()
    assert trial["faults"] == []
    assert trial["previews"][0]["subject"].startswith("Yours: ")

    published = await client.post(f"{address}/2/publish")
    assert published.json()["in_use"]
    assert published.json()["published_by"] == "operator"
    assert (await client.put(f"{address}/2", json=MINE)).status_code == 409, "what was published never changes"
    assert not (await client.get(f"{address}/1")).json()["in_use"]
    assert (await client.post(f"{address}/1/publish")).json()["in_use"], "the old one can be used again"
    assert (await client.get(f"{address}/9")).status_code == 404


@pytest.mark.usefixtures("_shipped")
async def test_who_may_read_templates_may_not_write_them(client: httpx.AsyncClient) -> None:
    agent = {"Otklik-Person": "e-1", "Otklik-Role": "agent"}
    assert (await client.get("/v1/templates", headers=agent)).status_code == 200
    assert (await client.post("/v1/templates/thanks/en", json=MINE, headers=agent)).status_code == 403


@pytest.mark.usefixtures("_shipped")
async def test_a_mail_under_way_keeps_the_version_it_was_first_made_with(
    world: World, post: Post, trap: MailTrap, clock: Clock, client: httpx.AsyncClient
) -> None:
    boss = {"employee_id": "e-boss", "name": "Mary", "email": "mary@company.example", "language": "en"}
    employee = type(world.breached().payload.owner)
    trap.tell("RCPT", "451 4.3.0 later")
    await world.cases(world.assigned("case-1", owner=employee(**boss)))
    await post.rest()
    assert (await world.row()).template_version == 1

    assert (await client.post("/v1/templates/case_assigned/en", json=MINE)).status_code == 201
    assert (await client.post("/v1/templates/case_assigned/en/2/publish")).status_code == 200
    await world.cases(world.assigned("case-2", owner=employee(**boss)))
    clock.move(timedelta(minutes=1))
    await post.rest()
    assert sorted(str(mail["Subject"]).split(":")[0] for mail in trap.mails) == ["A case is yours", "Yours"]
    assert sorted(row.template_version for row in await world.rows()) == [1, 2]


async def test_a_release_is_used_unless_the_company_has_a_template_of_its_own(database: Database) -> None:
    old = release()
    new = {key: Source(subject="New", text=each.text, html=each.html) for key, each in old.items()}
    async with database.transaction() as tx:
        await templates.ship(tx, old)
        own = await templates.add(tx, "thanks", "en", old["thanks", "en"], author="me")
        await templates.publish(tx, "thanks", "en", own, by="me")
        await templates.ship(tx, new)
        used = {(each.kind, each.language): each for each in await templates.versions(tx) if each.in_use}
    assert used.pop(("thanks", "en")).version == own
    assert {each.source.subject for each in used.values()} == {"New"}
