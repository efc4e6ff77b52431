"""The pages of dead letters: for those who run the system, honest when Kafka is away, deciding in one's own name."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from libs.events.dead_letters import DeadLetter, DeadLetterDesk, Log, State, Wanted
from libs.events.topics import CASEWORK_CASES, CUSTOMERS, SURVEY_SCORES, TOPICS
from services.portal.clients import ServiceAwayError
from services.portal.clients.dead_letters import DeadLetters
from services.portal.domain.letters import LONGEST, payload_seen_by
from services.portal.domain.people import Role
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

SCORES = "casework.scores"
LETTER = f"/dead-letters/{SCORES}%3A0"


def listed(page: httpx.Response) -> list[str]:
    return re.findall(r'data-row href="/dead-letters/([^"]+)"', page.text)


async def letters(company: Company, wanted: Wanted | None = None) -> list[DeadLetter]:
    async with company.broker.log() as log:
        desk = DeadLetterDesk(log, TOPICS, clock=company.clock)
        return [letter async for letter in desk.newest(wanted or Wanted(state=None))]


@pytest.mark.parametrize("login", ["irina", "olga", "viktor", "anna"])
async def test_the_pages_are_for_operators_and_administrators_alone(company: Company, login: str) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    visitor = await company.visitor().log_in(login)
    for path in ("/dead-letters", LETTER):
        assert (await visitor.get(path)).status_code == 403
    assert (await visitor.post(f"{LETTER}/replay", {})).status_code == 403
    assert "/dead-letters" not in (await visitor.get("/")).text
    assert (await letters(company))[0].state is State.OPEN
    await visitor.close()


async def test_the_list_is_filtered_by_consumer_and_state(company: Company, oleg: Visitor) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES, hours_ago=3)
    await company.set_aside(SURVEY_SCORES, "portal.events", hours_ago=2, reason="KeyError: touchpoint")
    await company.set_aside(CASEWORK_CASES, "portal.events", hours_ago=1)

    everything = await oleg.get("/dead-letters")
    assert listed(everything) == [
        "portal.events%40casework.cases%3A0",
        "portal.events%40survey.scores%3A0",
        "casework.scores%3A0",
    ]
    assert "ValueError: no owner survey.response.scored.v1" in text_of(everything)
    assert "for this customer" not in everything.text
    assert listed(await oleg.get("/dead-letters?queue=portal.events%40survey.scores")) == [
        "portal.events%40survey.scores%3A0"
    ]
    await oleg.get(LETTER)
    await oleg.post(f"{LETTER}/drop", {"reason": "of no use"})
    assert listed(await oleg.get(f"/dead-letters?queue={SCORES}")) == []
    assert "There are none like that" in (await oleg.get("/dead-letters?state=replayed")).text
    assert listed(await oleg.get("/dead-letters?state=dropped")) == ["casework.scores%3A0"]
    assert len(listed(await oleg.get("/dead-letters?state=any"))) == 3
    assert len(listed(await oleg.get("/dead-letters?state=nonsense&queue=nonsense"))) == 2


async def test_many_letters_come_in_pages_newest_first(company: Company, oleg: Visitor) -> None:
    for number in range(120):
        await company.set_aside(SURVEY_SCORES, SCORES, hours_ago=200 - number)

    found: list[str] = []
    page = await oleg.get("/dead-letters")
    for _ in range(3):
        found += listed(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        if following is None:
            break
        page = await oleg.get(following[1].replace("&amp;", "&"))

    assert found == [f"casework.scores%3A{number}" for number in reversed(range(120))]
    assert (await oleg.get("/dead-letters?cursor=nonsense")).status_code == 422


async def test_a_replay_goes_to_the_one_consumer_in_the_persons_name(company: Company, ada: Visitor) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    await ada.get(LETTER)

    page = await ada.post(f"{LETTER}/replay", {"reason": "the owner is back"})

    assert page.url.path == f"/dead-letters/{SCORES}:0"
    assert "The record was replayed." in page.text
    assert "Replayed by Ada Root (ada)" in text_of(page)
    assert "the owner is back" in page.text
    (replay,) = company.broker.records(SURVEY_SCORES.replays(SCORES))
    assert dict(replay.headers)["replay_of"] == b"survey.scores/2/41"
    assert dict(replay.headers)["replayed_by"] == b"Ada Root (ada)"
    others = [topic.replays(consumer) for topic in TOPICS for consumer in topic.consumers]
    assert sum(len(company.broker.records(name)) for name in others) == 1


async def test_a_drop_needs_its_reason_and_is_made_once(company: Company, oleg: Visitor) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    await oleg.get(LETTER)

    page = await oleg.post(f"{LETTER}/drop", {"reason": "  "})
    assert page.status_code == 422
    assert "Say why nobody needs the record" in page.text
    assert (await letters(company))[0].state is State.OPEN

    page = await oleg.post(f"{LETTER}/drop", {"reason": "a test of theirs"})
    assert "The record was dropped." in page.text
    assert f'action="{LETTER}/drop"' not in page.text
    assert "Replay once more" in page.text

    page = await oleg.post(f"{LETTER}/drop", {"reason": "again"})
    assert page.status_code == 409
    assert "decided about the record meanwhile" in page.text
    (letter,) = await letters(company)
    assert letter.decision is not None
    assert (letter.decision.reason, letter.decision.by) == ("a test of theirs", "Oleg Sidorov (oleg)")


async def test_a_profile_of_an_erased_customer_is_not_brought_back(company: Company, ada: Visitor) -> None:
    await company.set_aside(CUSTOMERS, "notify.customers", type_="customer.profile.changed.v1")
    address = "/dead-letters/notify.customers%3A0"
    await ada.get(address)

    page = await ada.post(f"{address}/replay", {})

    assert page.status_code == 409
    assert "has a newer record already, or was erased" in page.text
    assert company.broker.records(CUSTOMERS.replays("notify.customers")) == []
    assert (await letters(company))[0].state is State.OPEN


async def test_only_our_own_pages_can_decide(company: Company, oleg: Visitor) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    await oleg.get(LETTER)
    assert (await oleg.post(f"{LETTER}/replay", {}, origin="http://evil.example")).status_code == 403
    await oleg.get(LETTER)
    assert (await oleg.post(f"{LETTER}/replay", {"form_token": "x"})).status_code == 403
    assert (await letters(company))[0].state is State.OPEN


@pytest.mark.parametrize("path", [LETTER, "/dead-letters/nonsense", "/dead-letters/portal.events:0"])
async def test_what_is_not_there_is_not_found(oleg: Visitor, path: str) -> None:
    assert (await oleg.get(path)).status_code == 404
    await oleg.get("/dead-letters")
    assert (await oleg.post(f"{LETTER}/burn", {})).status_code in (403, 404)


async def test_an_operator_sees_no_words_and_contacts_of_customers(
    company: Company, oleg: Visitor, ada: Visitor
) -> None:
    profile = b'{"customer_id": "customer-7", "email": "maria@example.org", "name": "Maria", "version": 3}'
    await company.set_aside(SURVEY_SCORES, SCORES)
    await company.set_aside(CUSTOMERS, "casework.customers", type_="customer.profile.changed.v1", value=profile)
    await company.set_aside(CUSTOMERS, "notify.customers", value=b"\xff maria@example.org")
    for path in (LETTER, "/dead-letters/casework.customers:0", "/dead-letters/notify.customers:0"):
        for visitor, sees in ((oleg, False), (ada, True)):
            page = await visitor.get(path)
            assert page.status_code == 200
            assert any(word in page.text for word in ("terrible", "maria@example.org")) is sees
    assert "customer-7" in (await oleg.get(LETTER)).text


async def test_what_a_record_says_is_shown_and_never_obeyed(company: Company, ada: Visitor) -> None:
    evil = "<script>alert(1)</script>"
    await company.set_aside(SURVEY_SCORES, SCORES, reason=evil, type_=evil, value=evil.encode())
    for path in ("/dead-letters", LETTER):
        assert evil not in (await ada.get(path)).text


async def test_an_erasure_and_a_letter_of_nobody_can_be_looked_at(company: Company, ada: Visitor) -> None:
    await company.set_aside(CUSTOMERS, "casework.customers", value=None, reason="", type_="")
    page = await ada.get("/dead-letters/casework.customers:0")
    assert "this record is an erasure" in page.text
    assert "No reason given" in page.text
    assert "no event" in (await ada.get("/dead-letters")).text


async def test_while_kafka_is_away_the_pages_say_so(company: Company, oleg: Visitor) -> None:
    await company.set_aside(SURVEY_SCORES, SCORES)
    await oleg.get(LETTER)
    company.broker.available = False

    page = await oleg.post(f"{LETTER}/replay", {})
    assert page.status_code == 503
    assert "Kafka did not answer in time" in page.text
    for path in ("/dead-letters", LETTER):
        page = await oleg.get(path)
        assert page.status_code == 503
        assert "The event streams cannot be reached just now" in page.text
    page = await oleg.get("/")
    assert page.status_code == 200
    assert "The event streams cannot be reached just now" in page.text


async def test_the_overview_counts_what_waits(company: Company, oleg: Visitor) -> None:
    assert "Nothing is set aside" in (await oleg.get("/")).text
    for _ in range(2):
        await company.set_aside(SURVEY_SCORES, SCORES)
    await company.set_aside(SURVEY_SCORES, "portal.events")

    page = await oleg.get("/")

    assert "3 records wait for a decision" in page.text
    assert "casework.scores 2" in text_of(page)
    assert listed(await oleg.get("/dead-letters?queue=casework.scores")) == ["casework.scores%3A1", LETTER[14:]]


async def test_a_broker_that_hangs_is_given_up_within_a_bound(company: Company) -> None:
    @asynccontextmanager
    async def hanging() -> AsyncIterator[Log]:
        await asyncio.Event().wait()
        async with company.broker.log() as log:
            yield log

    with pytest.raises(ServiceAwayError):
        await DeadLetters(hanging, clock=company.clock, glance=timedelta(milliseconds=50)).count()


@pytest.mark.parametrize(
    ("value", "operator", "administrator"),
    [
        (
            b'{"customer_id": "c", "owner": {"name": "Anna", "owner_id": 1}, "causes": ["x"], "comment": null}',
            {"customer_id": "c", "owner": {"name": "…", "owner_id": "…"}, "causes": "…", "comment": None},
            {"customer_id": "c", "owner": {"name": "Anna", "owner_id": 1}, "causes": ["x"], "comment": None},
        ),
        (b'["secret"]', None, ["secret"]),
    ],
)
def test_a_payload_is_shown_as_far_as_a_role_may_see_it(value: bytes, operator: object, administrator: object) -> None:
    for role, sees in ((Role.OPERATOR, operator), (Role.ADMINISTRATOR, administrator)):
        payload = payload_seen_by(role, "case.opened.v1", value)
        assert (None if payload is None else json.loads(payload)) == sees


@pytest.mark.parametrize("value", [b"{", b"[" * 100_000])
def test_what_cannot_be_taken_apart_is_for_administrators(value: bytes) -> None:
    assert payload_seen_by(Role.OPERATOR, "case.opened.v1", value) is None
    assert payload_seen_by(Role.ADMINISTRATOR, "case.opened.v1", value) == value.decode()[:LONGEST]
