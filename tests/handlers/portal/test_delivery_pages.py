"""The pages of deliveries: filtered, masked by role, honest about what is no longer kept, replayed one by one."""

import json
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.portal.domain.deliveries import body_seen_by, value_seen_by
from services.portal.domain.people import Role
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

TOKEN = "a token that is long enough"
ERASE = text("UPDATE deliveries SET body = ''")


def listed(page: httpx.Response) -> list[str]:
    return re.findall(r'data-row href="/deliveries/([^"]+)"', page.text)


async def a_source(company: Company, name: str = "shop", **changes: object) -> None:
    instrument = {
        "metric": "nps",
        "question": "How likely?",
        "scale_min": 0,
        "scale_max": 10,
        "kind": "transactional",
        "channel": "email",
    }
    body = {"vendor": "generic-token", "program": "retail", "instrument": instrument, "secret": TOKEN}
    await company.ingest("PUT", f"/v1/sources/{name}", json=body | changes)


async def deliver(company: Company, source: str = "shop", *, body: bytes | None = None, **told: object) -> str:
    answer: dict[str, Any] = {"response_id": "r-1", "answered_at": "2026-01-05T10:00:00Z", "score": 3} | told
    content = json.dumps(answer).encode() if body is None else body
    taken = await company.deliver(f"/v1/webhooks/{source}/{TOKEN}", content)
    return str(taken["delivery_id"])


async def test_the_list_is_filtered_by_status_and_source(company: Company, oleg: Visitor) -> None:
    await a_source(company)
    await a_source(company, "phone")
    understood = await deliver(company, comment="a secret word")
    odd = await deliver(company, "phone", body=b'{"response_id": 1')
    again = await oleg.get("/deliveries")
    assert listed(again) == [odd, understood]
    assert "a secret word" not in again.text
    assert listed(await oleg.get("/deliveries?status=quarantined")) == [odd]
    assert listed(await oleg.get("/deliveries?status=accepted&source=phone")) == []
    assert "There are none like that" in oleg.page.text
    assert listed(await oleg.get("/deliveries?source=shop")) == [understood]
    assert listed(await oleg.get("/deliveries?status=nonsense&source=%3Cb%3E")) == [odd, understood]


async def test_the_list_goes_on(company: Company, oleg: Visitor) -> None:
    await a_source(company)
    for number in range(55):
        await deliver(company, response_id=f"r-{number}")
    first = await oleg.get("/deliveries?source=shop")
    [more] = re.findall(r'rel="next" href="([^"]+)"', first.text)
    rest = await oleg.get(more.replace("&amp;", "&"))
    assert (len(listed(first)), len(listed(rest))) == (50, 5)


async def test_one_delivery_tells_all_that_its_reader_may_see(company: Company, oleg: Visitor, ada: Visitor) -> None:
    await a_source(company)
    id_ = await deliver(company, comment="Nobody called <b>back</b>", customer_id="c-8")
    await deliver(company, comment="Nobody called <b>back</b>", customer_id="c-8")
    for visitor, sees in ((oleg, False), (ada, True)):
        page = await visitor.get(f"/deliveries/{id_}")
        assert ("Nobody called" in page.text) is sees
        assert "<b>back</b>" not in page.text
        assert "c-8" in page.text
        assert "came 2 times" in text_of(page)
        assert "Events published of it" in page.text
        assert TOKEN not in page.text


async def test_a_delivery_is_understood_again_by_todays_map(company: Company, oleg: Visitor) -> None:
    await a_source(company, field_map={"score": {"path": "grade"}})
    id_ = await deliver(company, grade="no number")
    page = await oleg.get(f"/deliveries/{id_}")
    assert "in quarantine" in text_of(page)
    assert "Score (path «grade») is text, not a number" in text_of(page)
    assert "Оценка (путь «grade»): текст, а не число" in text_of(await oleg.get("/deliveries?lang=ru"))
    await oleg.get("/deliveries?lang=en")
    await oleg.get(f"/deliveries/{id_}")
    await a_source(company)
    replayed = await oleg.post(f"/deliveries/{id_}/replay", {})
    assert "It is now: understood." in text_of(replayed)


async def test_what_is_no_longer_kept_is_said(company: Company, ada: Visitor) -> None:
    await a_source(company)
    id_ = await deliver(company)
    async with company.databases["ingest"].transaction() as tx:
        await tx.execute(ERASE)
    page = await ada.get(f"/deliveries/{id_}")
    assert "The content is no longer kept" in page.text
    assert "Understand it again" not in page.text


@pytest.mark.parametrize("path", ["/deliveries/1", "/deliveries/00000000-0000-7000-8000-000000000000"])
async def test_what_is_not_there_is_not_found(oleg: Visitor, path: str) -> None:
    assert (await oleg.get(path)).status_code == 404


async def test_a_form_of_somebody_else_replays_nothing(company: Company, oleg: Visitor) -> None:
    await a_source(company, field_map={"score": {"path": "grade"}})
    id_ = await deliver(company, grade="no number")
    await oleg.get(f"/deliveries/{id_}")
    assert (await oleg.post(f"/deliveries/{id_}/replay", {}, origin="https://evil.example")).status_code == 403


def test_bytes_that_are_no_text_are_shown_as_bytes_to_administrators_alone() -> None:
    content = b"\x00\xffabc" * 2_000
    seen = body_seen_by(Role.ADMINISTRATOR, content)
    assert seen is not None
    assert (seen.form, seen.whole) == ("hex", False)
    assert seen.text.startswith("000000  00 ff 61 62 63")
    assert body_seen_by(Role.OPERATOR, content) is None


def test_operators_see_text_that_cannot_be_taken_apart_as_little_as_bytes() -> None:
    form = b"response[email]=anna@example.org&response[score]=3"
    assert body_seen_by(Role.OPERATOR, form) is None
    seen = body_seen_by(Role.ADMINISTRATOR, form)
    assert seen is not None
    assert "anna@example.org" in seen.text


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("q1", "7", "7"),
        ("q2", "I waited", "…"),
        ("email", "anna@example.org", "…"),
        ("data.customer_id", "c-8", "c-8"),
        ("phone", "79001234567", "…"),
        ("agreed", "True", "True"),
    ],
)
def test_grades_and_what_the_system_needs_are_shown_to_operators(name: str, value: str, seen: str) -> None:
    assert value_seen_by(Role.OPERATOR, name, value) == seen
    assert value_seen_by(Role.ADMINISTRATOR, name, value) == value
