"""The page behind the signed link: a GET asks, a POST answers, once, and what is too late is said kindly."""

import asyncio
import html
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from libs.events.contracts.messages import ConfirmationAnswered
from libs.events.database import Database
from services.notify.domain.rounds import ANSWER_GRACE
from services.notify.links import ConfirmationLinks
from tests.handlers.notify.mail_trap import MailTrap
from tests.handlers.notify.post import Post
from tests.handlers.notify.world import Clock, World


@pytest.fixture
async def page(world: World, links: ConfirmationLinks) -> str:
    """The path of a page whose round is open."""
    await world.customers(world.profile())
    await world.cases(world.resolved())
    return await path_of(world, links)


async def path_of(world: World, links: ConfirmationLinks, round_: int = 1) -> str:
    (row,) = [row for row in await world.rows() if row.round == round_]
    return links.link(row.id).removeprefix("https://otklik.example")


async def answers(world: World) -> list[ConfirmationAnswered]:
    return [event.payload for event in await world.published() if event.type == "confirmation.answered.v1"]


def heading(response: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", response.text, re.DOTALL)
    assert found is not None, response.text
    return html.unescape(found[1])


async def test_a_get_asks_and_changes_nothing_however_often_a_scanner_follows_the_link(
    world: World, client: httpx.AsyncClient, page: str
) -> None:
    before = await world.rounds(), await world.rows(), await world.published_types()
    for _ in range(5):
        response = await client.get(page)
        assert (await client.head(page)).status_code == 200
    assert heading(response) == "Ваш вопрос решён?"
    assert "Анна Петрова" in response.text
    assert "21 февраля" in response.text
    assert "9 марта" in response.text
    assert (await world.rounds(), await world.rows(), await world.published_types()) == before


async def test_the_page_is_guarded_by_its_headers_and_needs_no_script(client: httpx.AsyncClient, page: str) -> None:
    response = await client.get(page)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in response.headers["x-robots-tag"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-language"] == "ru"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy
    assert "<script" not in response.text
    assert "c-1" not in response.text
    assert "mail.example" not in response.text


@pytest.mark.parametrize(("answer", "solved", "said"), [("yes", True, "рады"), ("not_yet", False, "что сказали")])
async def test_a_post_answers_once_and_shows_thanks(
    world: World, client: httpx.AsyncClient, page: str, *, answer: str, solved: bool, said: str
) -> None:
    response = await client.post(page, data={"answer": answer, "comment": "Спасибо Анне!\r\nОчень"})
    assert response.status_code == 303
    thanks = await client.get(str(response.next_request.url) if response.next_request else "")
    assert said in heading(thanks)

    (told,) = await answers(world)
    assert told == ConfirmationAnswered(
        case_id="case-1",
        customer_id="c-1",
        round=1,
        solved=solved,
        comment="Спасибо Анне!\nОчень",
        answered_at=world.database.clock(),
    )
    event = (await world.published())[-1]
    assert (event.subject, event.traceparent) == ("case-1", f"00-{'a' * 32}-b-01")

    again = await client.post(page, data={"answer": answer})
    assert again.status_code == 303
    assert len(await answers(world)) == 1


async def test_a_no_is_not_turned_into_a_yes(world: World, client: httpx.AsyncClient, page: str) -> None:
    await client.post(page, data={"answer": "not_yet"})
    await client.post(page, data={"answer": "yes"})
    assert [told.solved for told in await answers(world)] == [False]


@pytest.mark.parametrize("closed", [True, False])
async def test_a_yes_may_be_taken_back_once(
    world: World, client: httpx.AsyncClient, page: str, *, closed: bool
) -> None:
    await client.post(page, data={"answer": "yes", "comment": "Спасибо"})
    if closed:
        await world.cases(world.closed(outcome="confirmed"))
    assert "Всё-таки что-то не так?" in (await client.get(page)).text
    await client.post(page, data={"answer": "not_yet", "comment": "Опять сломалось"})
    await client.post(page, data={"answer": "yes"})
    assert [(told.solved, told.comment) for told in await answers(world)] == [
        (True, "Спасибо"),
        (False, "Опять сломалось"),
    ]
    assert heading(await client.get(page)) == "Спасибо, что сказали"


async def test_two_answers_at_once_are_one(world: World, client: httpx.AsyncClient, page: str) -> None:
    await asyncio.gather(*(client.post(page, data={"answer": "yes"}) for _ in range(5)))
    assert len(await answers(world)) == 1


@pytest.mark.parametrize("data", [{}, {"answer": "perhaps"}, {"answer": ""}])
async def test_a_form_without_a_choice_is_shown_again_with_the_comment(
    world: World, client: httpx.AsyncClient, page: str, data: dict[str, str]
) -> None:
    response = await client.post(page, data={**data, "comment": "<b>Ждала</b>"})
    assert response.status_code == 422
    assert "выберите один из двух ответов" in response.text
    assert "&lt;b&gt;Ждала&lt;/b&gt;" in response.text
    assert await answers(world) == []


async def test_a_comment_that_is_too_long_is_not_cut_in_silence(
    world: World, client: httpx.AsyncClient, page: str
) -> None:
    long = await client.post(page, data={"answer": "yes", "comment": "щ" * 2001})
    assert (long.status_code, "слишком длинный" in long.text) == (422, True)
    longer = await client.post(page, data={"answer": "yes", "comment": "щ" * 50_000})
    assert (longer.status_code, heading(longer)) == (413, "Комментарий слишком длинный")
    assert await answers(world) == []
    fits = await client.post(page, data={"answer": "yes", "comment": "щ\r\n" * 1000})
    assert fits.status_code == 303
    (told,) = await answers(world)
    assert told.comment == ("щ\n" * 1000).strip()


async def test_characters_that_nothing_can_keep_are_left_out(
    world: World, client: httpx.AsyncClient, page: str
) -> None:
    response = await client.post(
        page,
        content=b"answer=yes&comment=a%00b%0Bc%FFd\xff",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 303
    (told,) = await answers(world)
    assert told.comment is not None
    assert told.comment.startswith("abc\ufffdd")


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
async def test_another_kind_of_body_is_refused(
    world: World, client: httpx.AsyncClient, page: str, content_type: str
) -> None:
    response = await client.post(page, content=b'{"answer": "yes"}', headers={"content-type": content_type})
    assert response.status_code == 415
    assert await answers(world) == []


async def test_the_language_is_the_customers_and_can_be_switched(
    world: World, client: httpx.AsyncClient, page: str
) -> None:
    english = await client.get(page, params={"lang": "en"}, headers={"accept-language": "ru"})
    assert heading(english) == "Is your problem solved?"
    assert "21 February" in english.text
    response = await client.post(page, params={"lang": "en"}, data={"answer": "yes"})
    assert response.headers["location"] == "?lang=en"
    assert heading(await client.get(page, params={"lang": "en"})) == "Thank you, we are glad"
    assert (await client.get(page, params={"lang": "xx"})).headers["content-language"] == "ru"

    await world.customers(world.profile(language="en"))
    assert (await client.get(page)).headers["content-language"] == "en"


async def test_an_older_link_says_that_there_is_a_newer_one(
    world: World, client: httpx.AsyncClient, page: str, links: ConfirmationLinks
) -> None:
    await world.cases(world.reopened(), world.resolved(round=2))
    assert heading(await client.get(page)) == "Мы написали Вам ещё раз"
    await client.post(page, data={"answer": "yes"})
    assert await answers(world) == []
    await client.post(await path_of(world, links, 2), data={"answer": "yes"})
    assert [told.round for told in await answers(world)] == [2]


async def test_a_link_of_a_reopened_case_says_that_work_goes_on(
    world: World, client: httpx.AsyncClient, page: str
) -> None:
    await world.cases(world.reopened())
    assert heading(await client.get(page)) == "Мы снова занимаемся Вашим вопросом"
    await client.post(page, data={"answer": "not_yet"})
    assert await answers(world) == []


async def test_after_silence_an_answer_still_counts_for_a_while(
    world: World, client: httpx.AsyncClient, page: str, clock: Clock
) -> None:
    clock.move(timedelta(days=7))
    await world.cases(world.closed(outcome="unconfirmed"))
    clock.move(ANSWER_GRACE - timedelta(seconds=1))
    assert "Мы не дождались ответа" in (await client.get(page)).text
    clock.move(timedelta(seconds=1))
    over = await client.get(page)
    assert heading(over) == "Обращение закрыто"
    assert "mailto:care@romashka.example" in over.text
    await client.post(page, data={"answer": "not_yet"})
    assert await answers(world) == []
    clock.move(timedelta(seconds=-1))
    await client.post(page, data={"answer": "not_yet"})
    assert [told.solved for told in await answers(world)] == [False]


async def test_a_wrong_link_is_answered_kindly_and_in_the_readers_language(
    client: httpx.AsyncClient, page: str, links: ConfirmationLinks
) -> None:
    unknown = links.link(uuid4()).removeprefix("https://otklik.example")  # type: ignore[arg-type]
    for path in (page[:-1] + ("A" if page[-1] != "A" else "B"), "/c/x", "/c/" + "x" * 5000, "/c/%D1%89", unknown):
        for language, said in (("ru", "Такой ссылки у нас нет"), ("en-GB,en;q=0.9", "We do not know this link")):
            response = await client.get(path, headers={"accept-language": language})
            assert (response.status_code, heading(response)) == (404, said)
            assert "noindex" in response.headers["x-robots-tag"]
        assert (await client.post(path, data={"answer": "yes"})).status_code == 404


async def test_whoever_guesses_at_links_is_slowed_down_and_others_are_not(client: httpx.AsyncClient, page: str) -> None:
    statuses = [(await client.get(f"/c/guess-{number}")).status_code for number in range(25)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    slowed = await client.get("/c/guess")
    assert (heading(slowed), slowed.headers["retry-after"]) == ("Слишком много попыток", "60")
    assert (await client.get(page)).status_code == 200


async def test_whoever_hammers_at_one_link_slows_down_that_link_alone(
    world: World, client: httpx.AsyncClient, page: str, links: ConfirmationLinks
) -> None:
    statuses = {(await client.get(page)).status_code for _ in range(100)}
    assert statuses == {200, 429}
    await world.cases(world.resolved("case-2"))
    (other,) = [row for row in await world.rows() if row.case_id == "case-2"]
    assert (await client.get(f"/c/{links.token(other.id)}")).status_code == 200


async def test_the_link_of_an_erased_customer_leads_nowhere(world: World, client: httpx.AsyncClient, page: str) -> None:
    await client.post(page, data={"answer": "not_yet", "comment": "tell-tale"})
    await world.customers(world.erasure())
    assert (await client.get(page)).status_code == 404
    assert (await client.post(page, data={"answer": "yes"})).status_code == 404
    assert len(await answers(world)) == 1


async def test_an_answer_by_the_link_ends_the_doubt_about_its_mail(
    world: World, client: httpx.AsyncClient, page: str, post: Post, trap: MailTrap
) -> None:
    trap.tell("dot", "keep, then cut")
    await post.rest()
    assert (await world.row()).status == "doubtful"
    await client.post(page, data={"answer": "yes"})
    assert (await world.row()).status == "sent"
    assert (await world.published_types())[-2:] == ["confirmation.answered", "message.sent"]


async def test_without_a_database_the_page_says_so_as_a_page(
    client: httpx.AsyncClient,
    page: str,
    database: Database,
    postgres: Any,  # noqa: ANN401 - see tests/conftest.py
) -> None:
    await database.engine.dispose()
    postgres.drop(database.engine.url.render_as_string(hide_password=False))
    response = await client.get(page)
    assert (response.status_code, heading(response)) == (503, "Не получилось открыть страницу")
    assert "retry-after" in response.headers


async def test_the_answer_and_its_event_are_one_transaction(
    world: World, client: httpx.AsyncClient, page: str, database: Database
) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox RENAME TO outbox_away"))
    assert (await client.post(page, data={"answer": "yes"})).status_code == 500
    async with database.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox_away RENAME TO outbox"))
    (round_,) = await world.rounds()
    assert round_.solved is None
    await client.post(page, data={"answer": "yes"})
    assert len(await answers(world)) == 1
