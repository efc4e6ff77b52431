"""Customers, accounts, silences and segment rules in the portal, over the real scoring."""

import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from services.scoring.api import dry_runs
from services.scoring.store import dry_runs as store
from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

RULES = (
    '{"default": "standard", "rules": [{"tier": "key", "when": [{"field": "current_value", "op": ">=", "value": %s}]}]}'
)


@pytest.fixture
async def viktor(company: Company) -> AsyncIterator[Visitor]:
    """The executive, who reads English."""
    await company.scoring(
        "PUT",
        "/v1/customers/c%2F1",
        json={
            "name": "Мария Кузнецова",
            "email": "maria@example.org",
            "language": "ru",
            "time_zone": "Europe/Moscow",
            "account_id": "acme",
            "account_role": "decision_maker",
            "current_value": 500,
        },
    )
    visitor = await company.visitor().log_in("viktor")
    yield visitor
    await visitor.close()


async def test_a_customer_is_found_by_id_and_shows_the_tier_with_its_reason(viktor: Visitor) -> None:
    assert "Мария Кузнецова" in (await viktor.get("/customers")).text

    page = await viktor.get("/customers?id=c/1")

    assert page.status_code == 200
    assert "maria@example.org" in page.text
    assert "Tier: standard. Why: no rule fits" in text_of(page)
    assert 'href="/accounts/acme"' in page.text
    assert (await viktor.get("/customers?id=nobody")).status_code == 404


async def test_rules_are_tried_out_before_they_are_put_into_force(viktor: Visitor) -> None:
    await viktor.get("/segments")
    tried = await viktor.post("/segments", {"document": RULES % 400, "do": "try"})

    assert tried.status_code == 200
    assert "1 of 1 customers would move" in text_of(tried)
    assert re.search(r"c/1 : standard → key customer , because current value is at least 400", text_of(tried))
    assert re.search(r"Version 1 · .* · from the installation ", text_of(await viktor.get("/segments")))

    saved = await viktor.post("/segments", {"document": RULES % 400, "do": "save"})
    assert "The rules are in force." in saved.text
    assert "key customer if current value is at least 400" in text_of(saved)
    assert re.search(r"Version 2 · .* · Victor Gromov ", text_of(saved))
    outdated = await viktor.post("/segments", {"document": RULES % 300, "do": "save", "version": "1"})
    assert outdated.status_code == 409
    assert "&#34;value&#34;: 300" in outdated.text


async def test_a_dry_run_names_who_asked_for_it_and_one_too_many_keeps_what_was_typed(
    viktor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_runs, "ANSWERED_AT_ONCE", -1)
    monkeypatch.setattr(store, "MOST_RUNNING", 1)
    await viktor.get("/segments")
    await viktor.post("/segments", {"document": RULES % 400, "do": "try"})
    refused = await viktor.post("/segments", {"document": RULES % 300, "do": "try"})
    assert refused.status_code == 409
    assert "Too many dry runs are going on." in text_of(refused)
    assert "&#34;value&#34;: 300" in refused.text
    shown = text_of(await viktor.get("/segments"))
    assert "portal/viktor" not in shown
    assert "Victor" in shown.partition("Dry runs")[2]


async def test_what_is_wrong_with_rules_is_named_by_its_place(viktor: Visitor) -> None:
    await viktor.get("/segments")
    page = await viktor.post("/segments", {"document": RULES % '"much"', "do": "try"})
    assert page.status_code == 422
    assert "rule 1 → condition 1 → value:" in text_of(page)
    page = await viktor.post("/segments", {"document": '{\n"rules": [\n', "do": "save"})
    assert page.status_code == 422
    assert "look at line 2" in page.text


def rows_of(page: httpx.Response) -> dict[str, str]:
    """The fields of the form of rules, as a browser would send them."""
    form = page.text.partition('<details class="numbers rules-document"')[0]
    fields = {
        name: html.unescape(value)
        for name, value in re.findall(r'<input id="[^"]+" name="([a-z_0-9.]+)"[^>]* value="([^"]*)"', form)
    }
    for name, options in re.findall(r'<select id="[^"]+" name="([a-z_0-9.]+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'value="([^"]*)" selected', options)
        assert chosen is not None
        fields[name] = html.unescape(chosen[1])
    return fields


async def test_rules_are_changed_row_by_row_tried_and_put_into_force(viktor: Visitor) -> None:
    fields = rows_of(await viktor.get("/segments"))
    assert (fields["main.0.tier"], fields["main.0.when.0.field"], fields["main.0.when.0.value"]) == (
        "key", "current_value", "1000000",
    )  # fmt: skip

    grown = rows_of(await viktor.post("/segments", {**fields, "do": "add-condition:main.0"}))
    assert grown["main.0.when.1.field"] == "current_value"
    changed = {
        **grown,
        "main.0.when.0.value": "400",
        "main.0.when.1.field": "account_role",
        "main.0.when.1.op": "in",
        "main.0.when.1.value": "decision_maker; end_user",
    }
    tried = await viktor.post("/segments", {**changed, "do": "try"})
    assert "1 of 1 customers would move" in text_of(tried)
    # Two other rules became one that is never reached; nothing is in force yet.
    assert "Version 1 " in text_of(await viktor.get("/segments"))

    program = rows_of(await viktor.post("/segments", {**changed, "do": "add-program"}))
    unnamed = await viktor.post("/segments", {**program, "do": "save"})
    assert (unnamed.status_code, "Each program needs a name of its own." in unnamed.text) == (422, True)
    saved = await viktor.post("/segments", {**program, "p1.program": "b2b", "do": "save"})
    assert "The rules are in force." in saved.text
    assert "is at least 400 and role in the account is one of «decision_maker»" not in text_of(saved)
    assert re.search(r"key customer if current value is at least 400 and .* one of", text_of(saved))
    assert "p1.program" in saved.text
    late = await viktor.post("/segments", {**changed, "do": "save", "version": "1"})
    assert (late.status_code, rows_of(late)["main.0.when.0.value"]) == (409, "400")


async def test_a_mistake_stands_at_its_field_in_the_readers_language(viktor: Visitor) -> None:
    fields = rows_of(await viktor.get("/segments"))
    page = await viktor.post("/segments?lang=ru", {**fields, "main.1.when.0.value": "много", "do": "save"})
    assert page.status_code == 422
    assert re.search(
        r'id="main.1.when.0.value"[^>]*aria-invalid="true" aria-describedby="main.1.when.0.value-error"', page.text
    )
    assert "нужно число не больше 1 000 000 000 000 000" in text_of(page).replace("\xa0", " ")
    assert rows_of(page)["main.1.when.0.value"] == "много"


async def test_a_made_up_form_of_rules_breaks_nothing(viktor: Visitor) -> None:
    await viktor.get("/segments")
    for fields in (
        {"do": "remove:main.99.99"},
        {"do": "up:p77.x"},
        {"do": "add-rule:"},
        {"main.default": "gold", "main.0.tier": "key", "main.0.when.0.field": "x" * 300, "do": "save"},
        {"document": '{"rules": 5, "programs": [], "accounts": null}', "do": "try"},
        {"document": '{"rules": [{"tier": [], "when": [{"field": 1, "op": "top", "value": "a"}]}]}', "do": "save"},
        {"document": '{"accounts": {"days": 1e999, "other": NaN}, "rules": []}', "do": "save"},
    ):
        await viktor.get("/segments")
        assert (await viktor.post("/segments", fields)).status_code in {200, 422}


@pytest.mark.parametrize("path", ["/customers", "/customers/c", "/accounts", "/silences", "/segments"])
async def test_only_those_who_lead_see_customers(company: Company, olga: Visitor, path: str) -> None:
    assert (await olga.get(path)).status_code in {200, 404}
    anna = await company.visitor().log_in("anna")
    assert (await anna.get(path)).status_code == 403
    await anna.close()


async def test_a_manager_reads_rules_and_does_not_change_them(olga: Visitor) -> None:
    page = await olga.get("/segments")
    assert "<textarea" not in page.text
    page = await olga.post("/segments", {"document": RULES % 1, "do": "save"})
    assert page.status_code == 403


@pytest.mark.parametrize("path", ["/customers", "/accounts", "/silences", "/segments", "/drivers", "/instruments"])
async def test_when_scoring_is_away_the_pages_say_so(company: Company, olga: Visitor, path: str) -> None:
    company.lines["scoring"].state.error = httpx.ConnectError("refused")
    page = await olga.get(path)
    assert page.status_code == 503
    assert "Показатели сейчас недоступны." in page.text


async def test_a_run_of_drivers_is_asked_for_and_waited_for(company: Company, viktor: Visitor) -> None:
    await company.measured(*[10] * 6, *[2] * 6)
    page = await viktor.get("/drivers")
    assert "association and not cause" in page.text
    assert "Nothing has been computed yet" in page.text

    asked = await viktor.post("/drivers", {})

    assert asked.status_code == 200
    assert 'data-poll="/drivers?' in asked.text


async def test_versions_of_a_question_are_listed(company: Company, olga: Visitor) -> None:
    await company.measured(10, 9)
    page = await olga.get("/instruments")
    assert "«How likely?»" in page.text
    assert "Версия 1" in page.text


async def test_a_customers_page_says_what_they_answered_and_leads_to_how_they_are_reached(
    company: Company, viktor: Visitor
) -> None:
    await company.measured(3, comment="Очередь на сорок минут", customer="c/1")

    page = await viktor.get("/customers/c/1")

    assert re.search(r"Answers 3 Очередь на сорок минут", text_of(page))
    assert 'href="/reach/c/1"' in page.text


async def test_nobody_joins_versions_of_a_question_unseen(company: Company, viktor: Visitor) -> None:
    await company.measured(10, question="How likely?")
    await company.measured(9, question="How likely are you?")
    page = await viktor.get("/instruments")
    (path,) = re.findall(r'action="(/instruments/[^"]+)"', page.text)
    assert 'name="revision" value="1"' in page.text
    assert "Written down." not in page.text
    joined = await viktor.post(path, {"same_as": "1"})
    assert "same question as version 1" in text_of(joined)
    late = await viktor.post(path, {"same_as": "", "revision": "1"})
    assert "Somebody else decided about this version meanwhile" in text_of(late)
