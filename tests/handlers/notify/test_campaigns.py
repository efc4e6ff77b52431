""" "What we changed": to whom, after whose word, to each once, and never to nobody silently."""

import re
from collections import Counter
from datetime import timedelta
from io import BytesIO
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

import httpx
import pytest
from PIL import Image

from libs.events.contracts.scores import ResponseRetracted
from services.notify import bounces, campaigns
from services.notify.domain.returns import Report
from tests.handlers.notify.campaigning import (
    BORIS,
    ELENA,
    EN,
    RU,
    a_campaign,
    a_plan,
    carried_out,
    post_json,
    started,
    state,
)
from tests.handlers.notify.mail_trap import MailTrap, said
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


async def test_who_raised_it_reads_when_they_said_it_and_the_quarter_clock_stops(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(
        world.profile("c-1"), world.profile("c-2", language="en"), world.profile("c-3"), world.profile("c-4")
    )
    await world.scores(
        world.scored("r-1", "c-1", themes=("waiting", "staff")),
        world.scored("r-2", "c-2", themes=("price",)),
        world.scored("r-3", "c-3", themes=("waiting",)),
        world.scored("r-5", None, themes=("waiting",)),
    )
    await world.scores(
        world.event(
            ResponseRetracted(
                **{
                    name: getattr(world.scored("r-3", "c-3").payload, name)
                    for name in world.scored("r-3", "c-3").payload.__struct_fields__
                },
                previous_score=3,
                previous_class="detractor",
            ),
            "r-3",
        )
    )
    await world.cases(world.resolved("case-2", customer_id="c-2", root_cause="no-callback"))
    await post.rest()
    before = len(trap.mails)
    campaign_id = await started(
        world,
        client,
        audience={"customers": {"which": "raised", "themes": ["waiting"], "root_causes": ["no-callback"]}},
    )
    await carried_out(world, post)

    mails = {str(mail["To"]): mail for mail in trap.mails[before:]}
    assert {address.partition("<")[2] for address in mails} == {"c-1@mail.example>", "c-2@mail.example>"}
    (ivan,) = (mail for address, mail in mails.items() if "c-1@" in address)
    text = said(ivan)
    assert ivan["Subject"] == RU["subject"]
    assert "21 февраля Вы рассказали нам об этом: ожидание на линии" in text.replace("\r\n", " ").replace("\n", " ")
    assert "Чаще по понедельникам." in text
    assert ivan["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(ivan["List-Unsubscribe"]).strip(" <>") in text
    (english,) = (mail for address, mail in mails.items() if "c-2@" in address)
    assert english["Subject"] == EN["subject"]

    told = await state(client, campaign_id)
    assert told["status"] == "completed"
    assert (told["recipients"], told["progress"]["sent"]) == (2, 2)
    stages = [event for event in await world.published() if event.type.startswith("campaign.")]
    assert [event.type for event in stages] == [
        "campaign.approved.v1",
        "campaign.started.v1",
        "campaign.completed.v1",
    ]
    assert stages[-1].payload.initiative_ids == ("i-1",)
    assert stages[-1].payload.recipients == 2


async def test_nobody_approves_what_they_wrote_and_an_edit_asks_anew(world: World, client: httpx.AsyncClient) -> None:
    campaign_id = await a_campaign(world, client)
    path = f"/v1/campaigns/{campaign_id}"
    assert (await post_json(client, f"{path}/start", {})).status_code == 409
    refused = await post_json(client, f"{path}/approve", {})
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "second-person")
    approved = await post_json(client, f"{path}/approve", {}, BORIS)
    assert approved.json()["approved_by"] == "e-boris"
    edited = await client.put(path, json=a_plan(name="Иначе"), headers=BORIS | {"If-Match": approved.headers["ETag"]})
    assert (edited.status_code, edited.json()["status"]) == (200, "draft")
    assert (await post_json(client, f"{path}/approve", {}, BORIS)).status_code == 409
    stale = await client.put(path, json=a_plan(), headers=ELENA | {"If-Match": approved.headers["ETag"]})
    assert stale.status_code == 412
    assert (await post_json(client, f"{path}/approve", {})).status_code == 200
    acts = [(line["act"], line["by"]) for line in (await state(client, campaign_id))["history"]]
    assert acts == [
        ("created", "e-elena"),
        ("approved", "e-boris"),
        ("edited", "e-boris"),
        ("approved", "e-elena"),
    ]


async def test_the_preview_counts_who_is_held_back_and_why_and_the_campaign_holds_back_the_same(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(
        world.profile("c-1"),
        world.profile("c-2", email=None),
        world.profile("c-3", email_consent=False),
        world.profile("c-4", language="en", tier="low"),
    )
    await client.put("/v1/lists/staff", json={"side": "employees", "name": "Сотрудники"}, headers=ELENA)
    await client.put("/v1/lists/dealers", json={"side": "partners", "name": "Партнёры"}, headers=ELENA)
    people = [
        {"member_id": "anna", "name": "Анна", "email": "anna@company.example", "language": "ru"},
        {"member_id": "mary", "name": "Mary", "email": "mary@company.example", "language": "en"},
    ]
    filled = await post_json(client, "/v1/lists/staff/members", {"put": people})
    assert filled.json() == {"put": 2, "removed": 0}
    partner = {"member_id": "d-1", "name": "Дилер", "email": "Anna@company.example", "language": "ru"}
    await post_json(client, "/v1/lists/dealers/members", {"put": [partner]})
    audience = {"customers": {"which": "everybody"}, "lists": ["staff", "dealers"]}

    counted = (await post_json(client, "/v1/audiences/preview", audience)).json()
    groups = {(group["side"], group["language"], group["held_back"]): group["people"] for group in counted["groups"]}
    assert (counted["people"], counted["reachable"]) == (6, 4)
    assert groups[("customers", "ru", "no_address")] == 1
    assert groups[("customers", "ru", "no_consent")] == 1
    assert groups[("customers", "en", None)] == 1
    assert sum(number for (side, _, _), number in groups.items() if side != "customers") == 2, "each address once"

    campaign_id = await started(world, client, audience=audience)
    await carried_out(world, post)
    told = await state(client, campaign_id)
    assert told["status"] == "completed"
    assert told["progress"]["sent"] == 4
    assert told["progress"]["held_back"] == {"no_address": 1, "no_consent": 1}
    assert len(trap.mails) == 4
    held = await client.get(f"/v1/campaigns/{campaign_id}/recipients?status=suppressed", headers=ELENA)
    assert [item["recipient"] for item in held.json()["items"]] == ["customer:c-2", "customer:c-3"]
    segment = {"customers": {"which": "everybody", "tiers": ["low"]}}
    assert (await post_json(client, "/v1/audiences/preview", segment)).json()["people"] == 1


async def test_the_audience_is_frozen_at_the_start_and_the_pace_is_kept(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(*(world.profile(f"c-{number:02}") for number in range(25)))
    campaign_id = await started(world, client, per_minute=10)
    await campaigns.step(world.database)
    await world.customers(world.profile("late"))
    await carried_out(world, post)
    assert len(trap.mails) == 10
    clock.move(timedelta(seconds=30))
    await carried_out(world, post)
    assert len(trap.mails) == 15
    clock.move(timedelta(minutes=5))
    await carried_out(world, post)
    assert len(trap.mails) == 25
    assert (await state(client, campaign_id))["status"] == "completed"
    assert not any("late@" in str(mail["To"]) for mail in trap.mails)


async def test_a_pause_is_felt_at_once_and_resuming_goes_on_exactly_there(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(*(world.profile(f"c-{number:02}") for number in range(25)))
    campaign_id = await started(world, client)
    await campaigns.step(world.database)
    await campaigns.step(world.database)
    assert Counter(row.status for row in await world.rows())["queued"] == 25
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/pause", {})).status_code == 200
    await carried_out(world, post)
    assert trap.mails == []
    assert (await state(client, campaign_id))["status"] == "paused"
    assert (await post_json(client, f"/v1/campaigns/{campaign_id}/resume", {})).status_code == 200
    await carried_out(world, post)
    assert len(trap.received()) == len(set(trap.received())) == 25
    assert (await state(client, campaign_id))["status"] == "completed"


async def test_a_message_that_is_tried_again_waits_for_the_pause_to_end(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await world.customers(world.profile("c-1"))
    campaign_id = await started(world, client)
    await campaigns.step(world.database)
    await campaigns.step(world.database)
    trap.tell("RCPT", "451 4.3.0 later")
    await post.rest()
    await post_json(client, f"/v1/campaigns/{campaign_id}/pause", {})
    clock.move(timedelta(hours=1))
    await carried_out(world, post)
    assert trap.mails == []
    await post_json(client, f"/v1/campaigns/{campaign_id}/resume", {})
    await carried_out(world, post)
    assert len(trap.mails) == 1


async def test_a_crash_between_two_steps_repeats_nobody_and_forgets_nobody(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.customers(*(world.profile(f"c-{number:02}") for number in range(30)))
    monkeypatch.setattr(campaigns, "AT_ONCE", 7)
    await started(world, client)

    class CrashError(Exception):
        pass

    def crash(_point: str) -> None:
        raise CrashError

    for number in range(40):
        with monkeypatch.context() as broken:
            if number % 2:
                broken.setattr(campaigns, "crashpoint", crash)
            try:
                await campaigns.step(world.database)
            except CrashError:
                continue
        await post.rest()
    await carried_out(world, post)
    assert len(trap.received()) == len(set(trap.received())) == 30


async def test_erased_customers_are_in_no_audience_any_more(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile("c-1"), world.profile("c-2"))
    await world.scores(world.scored("r-1", "c-1", themes=("waiting",)))
    await started(world, client, per_minute=1)
    await campaigns.step(world.database)
    await campaigns.step(world.database)
    await world.customers(world.erasure("c-1"), world.erasure("c-2"))
    await world.scores(world.scored("r-2", "c-1", themes=("waiting",)))
    await carried_out(world, post)
    assert trap.mails == []
    counted = await post_json(
        client, "/v1/audiences/preview", {"customers": {"which": "raised", "themes": ["waiting"]}}
    )
    assert counted.json()["people"] == 0


async def test_a_trial_goes_to_one_address_and_counts_for_nothing(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    campaign_id = await a_campaign(world, client)
    body = {"email": "elena@company.example", "name": "Елена", "language": "ru", "side": "customers"}
    sent = await post_json(client, f"/v1/campaigns/{campaign_id}/test", body)
    assert sent.status_code == 202
    await post.rest()
    (mail,) = trap.mails
    assert mail["Subject"] == f"[Проба] {RU['subject']}"
    assert "2 марта Вы рассказали нам" in said(mail)
    assert (await state(client, campaign_id))["status"] == "draft"


async def test_what_a_plan_names_has_to_be_there(world: World, client: httpx.AsyncClient) -> None:
    await world.initiatives(world.shipped())
    wrong = await post_json(
        client,
        "/v1/campaigns",
        a_plan(initiative_ids=["i-1", "i-9"], audience={"lists": ["nobody"]}),
    )
    assert wrong.status_code == 422
    assert [fault["pointer"] for fault in wrong.json()["errors"]] == ["/initiative_ids/1", "/audience/lists/0"]
    nobody = await post_json(client, "/v1/campaigns", a_plan(audience={}))
    assert nobody.status_code == 422
    (tellable,) = (await client.get("/v1/tellable-initiatives", headers=ELENA)).json()
    assert (tellable["initiative_id"], tellable["is_told"]) == ("i-1", False)


async def shared(client: httpx.AsyncClient, page: str, *, title: str) -> None:
    """What is shown beside a link to the page: its own title, and a picture of the size that is asked for."""
    said = dict(re.findall(r'<meta (?:property|name)="([a-z:_]+)" content="([^"]*)"', page))
    assert said["og:title"] == said["twitter:title"] == title
    assert said["twitter:card"] == "summary_large_image"
    assert said["og:image"].startswith("https://")
    address = urlsplit(said["og:image"])
    picture = await client.get(f"{address.path}?{address.query}")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.headers["Cache-Control"] == "public, max-age=86400"
    image = Image.open(BytesIO(picture.content))
    assert image.size == (int(said["og:image:width"]), int(said["og:image:height"])) == (1200, 630)
    known = {"If-None-Match": picture.headers["ETag"]}
    assert (await client.get(f"{address.path}?{address.query}", headers=known)).status_code == 304


async def test_everybody_reads_what_changed_without_a_log_in_and_drafts_stay_inside(
    world: World, client: httpx.AsyncClient, post: Post
) -> None:
    empty = await client.get("/changes?lang=ru")
    assert "Пока рассказать нечего" in empty.text
    draft = await a_campaign(world, client)
    assert (await client.get(f"/changes/{draft}")).status_code == 404
    await world.customers(world.profile("c-1"))
    campaign_id = await started(world, client, content={"ru": RU | {"learned": "<b>Ждали</b> & долго"}, "en": EN})
    await carried_out(world, post)
    page = await client.get("/changes", headers={"Accept-Language": "ru"})
    assert page.status_code == 200
    assert "&lt;b&gt;Ждали&lt;/b&gt; &amp; долго" in page.text
    assert RU["subject"] in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    english = await client.get(f"/changes/{campaign_id}?lang=en")
    assert f"<title>{EN['subject']}" in english.text
    await shared(client, english.text, title=EN["subject"])
    await shared(client, page.text, title="Что мы изменили")
    hidden = await started(world, client, is_public=False)
    assert (await client.get(f"/changes/{hidden}")).status_code == 404
    assert (await client.get(f"/changes/{hidden}/share.png")).status_code == 404
    feed = await client.get("/changes.atom?lang=ru")
    assert feed.headers["Content-Type"].startswith("application/atom+xml")
    tree = ET.fromstring(feed.text)  # noqa: S314 - our own feed
    names = {"a": "http://www.w3.org/2005/Atom"}
    (entry,) = tree.findall("a:entry", names)
    assert entry.findtext("a:title", namespaces=names) == RU["subject"]
    assert "&lt;b&gt;Ждали" in (entry.findtext("a:content", namespaces=names) or "")
    assert entry.findtext("a:id", namespaces=names) == f"urn:uuid:{campaign_id}"


async def test_who_wants_news_again_is_not_written_to_at_an_address_that_is_gone(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap, clock: Clock
) -> None:
    await client.put("/v1/lists/dealers", json={"side": "partners", "name": "Партнёры"}, headers=ELENA)
    partner = {"member_id": "d-1", "name": "Dealer", "email": "d@partner.example", "language": "en"}
    await post_json(client, "/v1/lists/dealers/members", {"put": [partner]})
    audience = {"lists": ["dealers"]}

    async def told() -> tuple[str, str | None]:
        campaign_id = UUID(await started(world, client, audience=audience))
        await carried_out(world, post)
        return next((row.status, row.reason) for row in await world.rows() if row.cause_id == campaign_id)

    async def answered(**answer: str) -> None:
        clock.move(timedelta(minutes=1))
        assert (await client.post(link, data=answer)).status_code == 200

    async def entries() -> dict[str, str]:
        listed = (await client.get("/v1/suppressions")).json()["items"]
        return {entry["reason"]: entry["id"] for entry in listed}

    assert await told() == ("sent", None)
    link = str(trap.mails[0]["List-Unsubscribe"]).strip(" <>").removeprefix("https://otklik.example")
    await answered(no="more")
    async with world.database.transaction() as tx:
        await bounces.take(tx, [Report((await world.row()).id, "hard", "5.1.1")])
    assert set(await entries()) == {"undeliverable", "unsubscribed"}
    counted = (await post_json(client, "/v1/audiences/preview", audience)).json()
    assert [(group["people"], group["held_back"]) for group in counted["groups"]] == [(1, "undeliverable")]
    assert await told() == ("suppressed", "undeliverable")

    await answered(answer="again")
    assert set(await entries()) == {"undeliverable"}, "a wish makes no address"
    assert await told() == ("suppressed", "undeliverable")

    await answered(no="more")
    lift = f"/v1/suppressions/{(await entries())['undeliverable']}/remove"
    assert (await client.post(lift, json={"why": "the mailbox is back"})).status_code == 200
    assert await told() == ("suppressed", "unsubscribed"), "nor does an address make a wish"
    await answered(answer="again")
    assert await told() == ("sent", None)


async def test_one_click_stops_news_a_look_does_not_and_the_next_campaign_knows(
    world: World, client: httpx.AsyncClient, post: Post, trap: MailTrap
) -> None:
    await world.customers(world.profile("c-1"), world.profile("c-2"))
    await client.put("/v1/lists/dealers", json={"side": "partners", "name": "Партнёры"}, headers=ELENA)
    partner = {"member_id": "d-1", "name": "Dealer", "email": "d@partner.example", "language": "en"}
    await post_json(client, "/v1/lists/dealers/members", {"put": [partner]})
    audience = {"customers": {"which": "everybody"}, "lists": ["dealers"]}
    await started(world, client, audience=audience)
    await carried_out(world, post)
    links = {
        envelope.rcpt_tos[0]: str(mail["List-Unsubscribe"]).strip(" <>").removeprefix("https://otklik.example")
        for envelope, mail in zip(trap.envelopes, trap.mails, strict=True)
    }
    assert len(links) == 3
    looked = await client.get(links["c-2@mail.example"])
    assert (looked.status_code, "Больше не писать о переменах?" in looked.text) == (200, True)
    for address in ("c-1@mail.example", "d@partner.example"):
        clicked = await client.post(links[address], data={"List-Unsubscribe": "One-Click"})
        assert clicked.status_code == 200
    oddly = await client.post(links["c-1@mail.example"], content=b"List-Unsubscribe=One-Click")
    assert oddly.status_code == 200, "twice is once, however the client sends it"
    opted_out = [event for event in await world.published() if event.type == "customer.unsubscribed.v1"]
    assert [event.payload.customer_id for event in opted_out] == ["c-1"]
    counted = (await post_json(client, "/v1/audiences/preview", audience)).json()
    held = {(group["side"], group["held_back"]): group["people"] for group in counted["groups"]}
    assert held == {
        ("customers", None): 1,
        ("customers", "unsubscribed"): 1,
        ("partners", "unsubscribed"): 1,
    }
    trap.forget()
    second = await started(world, client, audience=audience)
    await carried_out(world, post)
    assert [envelope.rcpt_tos[0] for envelope in trap.envelopes] == ["c-2@mail.example"]
    assert (await state(client, second))["progress"]["held_back"] == {"unsubscribed": 2}
    again = await client.post(links["c-1@mail.example"], data={"answer": "again"})
    assert "Больше не писать о переменах?" in again.text
    wrong = await client.get("/u/nothing.of-ours")
    assert wrong.status_code == 404
