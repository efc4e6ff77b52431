"""The door: log-ins, sessions, forms that only our pages can send."""

import re
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from services.portal import store
from services.portal.accounts import Passwords, create_person
from services.portal.api import create
from services.portal.broadcast import Broadcast
from services.portal.clients import Casework, Ingest, Notify, Scoring, Service
from services.portal.clients.dead_letters import DeadLetters
from services.portal.domain.people import PersonId
from services.portal.jobs import Pruning
from tests.portal_company import Company
from tests.portal_first_day import QUICK
from tests.portal_visitor import PASSWORD, Visitor

EVERYTHING = text("SELECT string_agg(CAST(sessions AS text), ' ') AS everything, count(*) AS n FROM sessions")


async def sessions(company: Company) -> tuple[int, str]:
    async with company.database.reading() as tx:
        row = await tx.fetch_one(EVERYTHING)
    assert row is not None
    return row.n, row.everything or ""


async def test_a_stranger_is_sent_to_the_login_and_from_there_to_where_they_wanted(
    company: Company, stranger: Visitor
) -> None:
    page = await stranger.get("/cases?whose=all&tier=key")
    assert page.url.path == "/login"
    assert 'name="next" value="/cases?whose=all&amp;tier=key"' in page.text

    await stranger.post(
        "/login", {"login": "olga", "password": PASSWORD, "next": "/cases?whose=all&tier=key"}, follow=False
    )

    assert stranger.page.status_code == 303
    assert stranger.page.headers["location"] == "/cases?whose=all&tier=key"
    assert (await sessions(company))[0] == 1


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_the_login_leads_to_no_other_site(stranger: Visitor, wanted: str) -> None:
    await stranger.get("/login?next=" + wanted)
    assert "evil" not in stranger.page.text.replace(f"next={wanted}", "").replace("/login?next=", "").split("<main")[1]

    await stranger.post("/login", {"login": "olga", "password": PASSWORD, "next": wanted}, follow=False)
    assert stranger.page.headers["location"] == "/"


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_is_new_at_the_login(stranger: Visitor) -> None:
    await stranger.get("/login")
    before = stranger.http.cookies["otklik"]

    await stranger.post("/login", {"login": "olga", "password": PASSWORD}, follow=False)

    cookie = stranger.page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "Path=/" in cookie
    assert stranger.http.cookies["otklik"] != before


async def test_the_database_does_not_know_the_token(company: Company, stranger: Visitor) -> None:
    await stranger.log_in("olga")
    _, stored = await sessions(company)
    assert stranger.http.cookies["otklik"] not in stored


async def test_over_https_the_cookie_is_secure_and_bound_to_the_host(company: Company) -> None:
    settings = company.settings.model_copy(update={"secure_cookies": True})
    service = Service("nowhere", url="http://nowhere", key="x")
    app = create(
        settings,
        database=company.database,
        casework=Casework(service),
        scoring=Scoring(service),
        ingest=Ingest(service),
        notify=Notify(service),
        letters=DeadLetters(company.broker.log, clock=company.clock),
        broadcast=Broadcast(company.database),
        passwords=Passwords(QUICK),
    )
    visitor = Visitor(app, {})
    page = await visitor.get("/login")
    await visitor.close()
    await service.close()
    assert page.headers["set-cookie"].startswith("__Host-otklik=")
    assert "; Secure" in page.headers["set-cookie"]
    assert page.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("login", "password"), [("olga", "wrong password"), ("nobody", PASSWORD), ("", ""), ("olga", "x" * 5_000)]
)
async def test_what_is_wrong_is_not_told(stranger: Visitor, login: str, password: str) -> None:
    await stranger.get("/login?lang=en")
    page = await stranger.post("/login", {"login": login, "password": password})
    assert page.status_code == 422
    assert "do not fit together" in page.text
    assert "otklik-language" in stranger.http.cookies


async def test_an_unknown_login_costs_a_check_of_a_password_too(company: Company) -> None:
    checked: list[str] = []

    class Counting(Passwords):
        def _verify(self, password_hash: str, password: str) -> bool:
            checked.append(password_hash)
            return super()._verify(password_hash, password)

    passwords = Counting(QUICK)
    assert await passwords.check(company.database, login="nobody", password="x") is None
    assert await passwords.check(company.database, login="olga", password="x") is None
    assert len(checked) == 2


async def test_failed_logins_are_slowed_down_and_counted_before_they_are_checked(
    company: Company, stranger: Visitor
) -> None:
    await stranger.get("/login?lang=en")
    for _ in range(5):
        assert (await stranger.post("/login", {"login": "Olga", "password": "wrong"})).status_code == 422

    refused = await stranger.post("/login", {"login": "olga", "password": PASSWORD})
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 15
    assert "Too many failed attempts" in refused.text
    assert (await sessions(company))[0] == 0

    company.clock.shift = timedelta(seconds=16)
    await stranger.post("/login", {"login": "olga", "password": PASSWORD})
    assert stranger.page.url.path == "/"

    # Whoever gets in is forgiven: the next slip does not wait.
    other = company.visitor()
    await other.get("/login")
    assert (await other.post("/login", {"login": "olga", "password": "wrong"})).status_code == 422
    await other.close()


async def test_an_address_that_tries_many_logins_is_slowed_down_as_well(stranger: Visitor) -> None:
    await stranger.get("/login")
    for number in range(30):
        await stranger.post("/login", {"login": f"guess-{number}", "password": "password1"})

    assert (await stranger.post("/login", {"login": "olga", "password": PASSWORD})).status_code == 429


async def test_what_people_type_as_their_login_is_not_kept(company: Company, stranger: Visitor) -> None:
    await stranger.get("/login")
    await stranger.post("/login", {"login": "my-secret-password", "password": "x"})
    async with company.database.reading() as tx:
        rows = await tx.fetch(text("SELECT CAST(login_attempts AS text) AS everything FROM login_attempts"))
    assert len(rows) == 2
    assert not any("secret" in row.everything or "10.0.0.9" in row.everything for row in rows)


async def test_a_session_that_is_not_used_ends_and_a_used_one_ends_in_any_case(company: Company) -> None:
    idle, busy = company.visitor(), company.visitor()
    await idle.log_in("irina")
    await busy.log_in("olga")
    for half_hours in range(1, 24):
        company.clock.shift = timedelta(minutes=30 * half_hours)
        await busy.get("/")
        assert busy.page.url.path == "/", half_hours
    await idle.get("/")
    assert idle.page.url.path == "/login"

    company.clock.shift = timedelta(hours=12, seconds=1)
    await busy.get("/")
    assert busy.page.url.path == "/login"
    await idle.close()
    await busy.close()


async def test_a_disabled_person_is_out_at_once(company: Company, irina: Visitor) -> None:
    async with company.database.transaction() as tx:
        assert await store.disable(tx, PersonId("irina"))
        assert not await store.disable(tx, PersonId("irina"))
    assert (await irina.get("/")).url.path == "/login"
    await irina.log_in("irina")
    assert irina.page.status_code == 422


async def test_logging_out_ends_the_session_on_the_server_too(company: Company, irina: Visitor) -> None:
    token = irina.http.cookies["otklik"]
    await irina.get("/")
    await irina.post("/logout", {})
    assert irina.page.url.path == "/login"
    assert (await sessions(company))[0] == 0

    irina.http.cookies.set("otklik", token)
    assert (await irina.get("/cases")).url.path == "/login"


async def test_logging_in_again_ends_the_session_that_the_browser_had(company: Company, irina: Visitor) -> None:
    token = irina.http.cookies["otklik"]
    await irina.get("/")
    await irina.post("/login", {"login": "olga", "password": PASSWORD})
    assert "Ольга Лебедева" in irina.page.text
    assert (await sessions(company))[0] == 1

    other = company.visitor()
    other.http.cookies.set("otklik", token)
    assert (await other.get("/")).url.path == "/login"
    await other.close()


@pytest.mark.usefixtures("irina")
async def test_sessions_and_attempts_that_are_over_are_pruned(company: Company) -> None:
    pruning = Pruning(company.database, rules=company.settings.session_rules, events_kept=timedelta(days=1))
    assert not await pruning.step()
    assert (await sessions(company))[0] == 1

    company.clock.shift = timedelta(days=2)
    assert not await pruning.step()
    assert (await sessions(company))[0] == 0
    async with company.database.reading() as tx:
        assert await tx.fetch(text("SELECT subject FROM login_attempts")) == []


# --- forms


@pytest.mark.parametrize(
    ("origin", "fields"),
    [
        ("https://evil.example", {}),
        ("null", {}),
        (None, {}),
        ("http://portal", {"form_token": ""}),
        ("http://portal", {"form_token": "0" * 64}),
        ("http://portal", {"form_token": "ключ"}),
    ],
)
async def test_a_form_that_another_site_sent_changes_nothing(
    company: Company, irina: Visitor, origin: str | None, fields: dict[str, str]
) -> None:
    await irina.get("/")
    answer = await irina.post("/logout", fields, origin=origin)
    assert answer.status_code == 403
    assert "Форма устарела" in answer.text
    assert (await sessions(company))[0] == 1


async def test_the_token_of_one_session_does_not_fit_another(irina: Visitor, olga: Visitor) -> None:
    await olga.get("/")
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', olga.page.text)
    assert token is not None
    await irina.get("/")
    assert (await irina.post("/logout", {"form_token": token[1]})).status_code == 403


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"login=%00", "application/x-www-form-urlencoded", 400),
        (b"login=%FF%FE", "application/x-www-form-urlencoded", 403),
        (b"&".join(b"f%d=1" % number for number in range(100)), "application/x-www-form-urlencoded", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"{}", "application/json", 415),
        (b"", "", 415),
        (b"a=" + b"b" * 400_000, "application/x-www-form-urlencoded", 413),
    ],
    ids=["nul", "not utf-8", "many fields", "multipart", "json", "empty", "large"],
)
async def test_a_form_that_is_none_is_refused(
    stranger: Visitor, content: bytes, content_type: str, status: int
) -> None:
    await stranger.get("/login")
    answer = await stranger.http.post(
        "/login", content=content, headers={"Content-Type": content_type, "Origin": "http://portal"}
    )
    assert answer.status_code == status


# --- pages


async def test_every_page_forbids_scripts_and_frames_from_elsewhere(irina: Visitor) -> None:
    for path in ("/", "/cases", "/events", "/nps", "/nowhere"):
        page = await irina.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"


async def test_what_is_not_there_is_said_in_the_readers_language(irina: Visitor, stranger: Visitor) -> None:
    page = await irina.get("/nowhere")
    assert page.status_code == 404
    assert "Здесь ничего нет" in page.text or "There is nothing here" in page.text
    assert (await irina.get("/nowhere?lang=ru")).text.count("Здесь ничего нет") == 2
    assert (await stranger.get("/v1/nowhere")).headers["content-type"] == "application/problem+json"


async def test_the_language_is_the_accounts_until_another_one_is_chosen(company: Company) -> None:
    visitor = await company.visitor(**{"Accept-Language": "en-GB,en;q=0.9"}).log_in("irina")
    assert '<html lang="ru"' in (await visitor.get("/")).text
    assert '<html lang="en"' in (await visitor.get("/?lang=en")).text
    assert '<html lang="en"' in (await visitor.get("/")).text
    assert '<html lang="en"' in (await visitor.get("/?lang=de")).text
    await visitor.close()


@pytest.mark.parametrize(
    ("accepted", "language"), [("en-US,ru;q=0.5", "en"), ("de,ru;q=0.5,en;q=0.3", "ru"), ("de", "ru")]
)
async def test_a_stranger_reads_what_the_browser_prefers(company: Company, accepted: str, language: str) -> None:
    visitor = company.visitor(**{"Accept-Language": accepted})
    assert f'<html lang="{language}"' in (await visitor.get("/login")).text
    await visitor.close()


async def test_static_files_are_kept_for_ever_and_named_by_their_content(stranger: Visitor) -> None:
    page = await stranger.get("/login")
    addresses = re.findall(r'(?:href|src)="(/static/[0-9a-f]{12}/[a-z.]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        answer = await stranger.http.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await stranger.http.get(addresses[0].rpartition("/")[0] + "/../settings.py")).status_code == 404


async def test_an_account_can_be_set_anew(company: Company, stranger: Visitor) -> None:
    async with company.database.transaction() as tx:
        await create_person(
            tx,
            person_id="irina",
            login="IRINA@example.org",
            name="Irina",
            email="irina@example.org",
            role="manager",
            language="en",
            password="another password",
            hasher=QUICK,
        )
        with pytest.raises(ValueError, match="10 to"):
            await create_person(
                tx, person_id="x", login="x", name="x", email="x", role="agent", language="en", password="short"
            )
    await stranger.log_in("irina@EXAMPLE.org", "another password")
    assert stranger.page.status_code == 200
    assert "Manager" in stranger.page.text


async def test_a_hash_of_older_parameters_is_renewed_at_the_login(company: Company) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=1024, parallelism=1)
    assert await Passwords(stronger).check(company.database, login="irina", password=PASSWORD) is not None
    async with company.database.reading() as tx:
        found = await store.find_by_login(tx, "irina")
    assert found is not None
    assert not stronger.check_needs_rehash(found[1])
