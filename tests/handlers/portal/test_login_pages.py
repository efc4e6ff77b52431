"""Accounts: administrators make, change and close them; people choose their passwords by a link that works once."""

import asyncio
import re
from datetime import timedelta

import pytest

from deploy.cli_accounts import make
from deploy.troubles import CommandError
from services.portal.domain.accountforms import person_of
from services.portal.store import accounts
from tests.portal_company import Company
from tests.portal_first_day import QUICK
from tests.portal_visitor import PASSWORD, Visitor, text_of

NINA = {
    "id": "nina",
    "login": "Nina@example.org",
    "name": "Нина Орлова",
    "email": "nina@example.org",
    "role": "manager",
    "language": "ru",
}
CHOSEN = "a password of her own"


async def invited(ada: Visitor) -> str:
    """Nina's account; the path of her link."""
    await ada.get("/logins/new")
    page = await ada.post("/logins/new", NINA)
    assert page.headers["cache-control"] == "no-store"
    found = re.search(r"<code>http://portal(/invitation/[A-Za-z0-9_-]{43})</code>", page.text)
    assert found is not None
    return found[1]


async def test_an_account_is_made_and_its_owner_chooses_a_password_once(
    company: Company, ada: Visitor, stranger: Visitor
) -> None:
    link = await invited(ada)
    assert link not in (await ada.get("/logins/nina")).text
    await stranger.log_in("nina@example.org", "")
    assert stranger.page.status_code == 422

    page = await stranger.get(link + "?lang=ru")
    assert "Нина Орлова, входить вы будете под именем nina@example.org." in text_of(page)
    assert (await stranger.post(link, {"password": "short", "again": "short"})).status_code == 422
    unequal = await stranger.post(link, {"password": CHOSEN, "again": PASSWORD})
    assert unequal.status_code == 422
    assert "Пароли не совпали" in unequal.text
    await stranger.post(link, {"password": CHOSEN, "again": CHOSEN})
    assert stranger.page.status_code == 200
    assert "Руководитель отдела" in stranger.page.text
    other = company.visitor()
    assert (await other.get(link)).status_code == 410
    await other.log_in("NINA@example.org", CHOSEN)
    assert other.page.status_code == 200
    await other.close()


async def test_two_who_use_a_link_at_once_do_not_both_choose(company: Company, ada: Visitor) -> None:
    link = await invited(ada)
    visitors = [company.visitor() for _ in "12"]
    for each in visitors:
        await each.get(link)
    words = ["the first one's words", "the second one's words"]
    await asyncio.gather(
        *(each.post(link, {"password": word, "again": word}) for each, word in zip(visitors, words, strict=True))
    )
    assert sorted(each.page.status_code for each in visitors) == [200, 410]
    for each in visitors:
        await each.close()


async def test_a_link_ends_with_time_and_with_a_newer_one(company: Company, ada: Visitor, stranger: Visitor) -> None:
    first = await invited(ada)
    await ada.get("/logins/nina")
    await ada.post("/logins/nina", {"do": "invite"})
    found = re.search(r"<code>http://portal(/invitation/[^<]+)</code>", ada.page.text)
    assert found is not None
    assert (await stranger.get(first)).status_code == 410
    assert (await stranger.get(found[1])).status_code == 200
    company.clock.shift = timedelta(days=3, minutes=1)
    assert (await stranger.get(found[1])).status_code == 410
    assert (await stranger.get("/invitation/" + "x" * 43)).status_code == 410
    assert (await stranger.get("/invitation/nothing")).status_code == 410


async def test_a_link_whose_time_ends_while_a_password_is_chosen_is_not_taken_up(
    company: Company, stranger: Visitor
) -> None:
    link = bytes(32)
    async with company.database.transaction() as tx:
        await accounts.invite(tx, "irina", link, lasting=timedelta(hours=1))
        person = await accounts.invited(tx, link)
    assert person is not None
    company.clock.shift = timedelta(hours=1, seconds=1)
    async with company.database.transaction() as tx:
        assert not await accounts.take_up(tx, person, link, password_hash="another")
    await stranger.log_in("irina")
    assert stranger.page.status_code == 200, "the password that she had is still hers"


async def test_a_changed_role_holds_at_once_and_a_closed_account_ends_its_sessions(
    company: Company, ada: Visitor, irina: Visitor
) -> None:
    elsewhere = await company.visitor().log_in("irina")
    irinas = NINA | {"login": "irina", "name": "Ирина Соколова", "email": "irina@example.org", "role": "manager"}
    assert (await irina.get("/people")).status_code == 403
    stale = await ada.get("/logins/irina")
    await ada.get("/logins/irina")
    await ada.post("/logins/irina", irinas)
    assert (await irina.get("/people")).status_code == 200
    ada.page = stale
    assert (await ada.post("/logins/irina", irinas | {"role": "agent"})).status_code == 409

    page = await ada.get("/logins/irina?lang=en")
    assert "With cases this person has another role: Agent." in text_of(page)
    await ada.post("/logins/irina", irinas | {"do": "close"})
    assert "The account is closed" in text_of(ada.page)
    assert 'name="password"' in (await irina.get("/")).text
    assert "Ирина Соколова Manager · irina closed" in text_of(await ada.get("/logins"))
    await ada.get("/logins/irina")
    await ada.post("/logins/irina", irinas)
    assert 'name="password"' in (await elsewhere.get("/")).text, "what was open before the end does not open again"
    await elsewhere.close()
    await irina.log_in("irina")
    assert irina.page.status_code == 200
    assert "Ирина Соколова" in irina.page.text


async def test_what_cannot_be_so_is_said_at_its_field_and_an_administrator_stays(ada: Visitor, olga: Visitor) -> None:
    await ada.get("/logins/new?lang=en")
    wrong = await ada.post("/logins/new", NINA | {"id": "нина", "email": "nina", "login": "two words", "role": "king"})
    assert wrong.status_code == 422
    for name in ("id", "email", "login", "role"):
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', wrong.text)
    for changes, field in (({"id": "olga"}, "id"), ({"login": "OLGA"}, "login")):
        taken = await ada.post("/logins/new", NINA | changes)
        assert taken.status_code == 409
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', taken.text)

    adas = NINA | {"login": "ada", "name": "Ada Root", "email": "ada@example.org", "role": "administrator"}
    await ada.get("/logins/ada?lang=en")
    for changes in ({"role": "operator"}, {"do": "close"}):
        last = await ada.post("/logins/ada", adas | changes)
        assert last.status_code == 409
        assert "This is the last administrator" in last.text
    assert (await ada.get("/logins/nobody")).status_code == 404
    assert (await olga.get("/logins")).status_code == 403
    assert (await olga.get("/logins/olga")).status_code == 403


async def test_the_first_administrator_is_made_from_the_command_line(company: Company, stranger: Visitor) -> None:
    url = company.settings.database_url
    person = person_of(NINA | {"role": "administrator"})
    with pytest.raises(CommandError, match="10 to"):
        await make(url, person, "short", QUICK)
    await make(url, person, CHOSEN, QUICK)
    with pytest.raises(CommandError, match=r"nina@example\.org already"):
        await make(url, person, CHOSEN, QUICK)
    await stranger.log_in("nina@example.org", CHOSEN)
    assert (await stranger.get("/logins")).status_code == 200
