"""Every page, wide and narrow, light and dark, Russian and English: readable, labelled, still, within its width."""

import json
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Page, expect

from libs.events.topics import CUSTOMERS, SURVEY_SCORES
from services.notify.sample_digests import FULL
from services.notify.store import digests
from tests.browser.conftest import turned
from tests.browser.portal.conftest import Desk
from tests.portal_company import Company

pytestmark = pytest.mark.browser
SitDown = Callable[..., Awaitable[Desk]]

PAGES: Final = (
    "/",
    "/cases?whose=all",
    "case",
    "/tasks?whose=all",
    "task",
    "/callbacks?whose=all",
    "/callbacks?state=missed",
    "/mentions",
    "/mentions?show=all",
    "/guides",
    "/guides/own-waiting",
    "/guides/own-waiting/edit",
    "/guides/own-waiting/edit?from=1",
    "/guides/new",
    "/loop?by=tier",
    "/loop/effort",
    "/causes",
    "/initiatives",
    "/initiatives?status=proposed",
    "/initiatives/new?cause=service.waiting",
    "change",
    "/campaigns",
    "campaign",
    "/campaigns/new",
    "/campaigns/new?initiative=second-counter",
    "/messages",
    "/messages/held",
    "/digest",
    "/digest/preview",
    "/recognition",
    "/templates",
    "/templates/confirmation_request",
    "/templates/clock_breached/ru/1?sample=1",
    "/templates/thanks/en/new",
    "template",
    "/message-rules",
    "/message-rules/edit",
    "/suppressions",
    "/providers",
    "/providers/new",
    "/providers/gateway",
    "/providers/gateway/test",
    "/lists",
    "/lists/partners",
    "/people",
    "/people/irina",
    "/people/new",
    "/logins",
    "/logins/irina",
    "/logins/new?person=olga",
    "/teams",
    "/teams/new",
    "/teams/first",
    "/departments/service",
    "/queues/management",
    "/policies",
    "/policies/key",
    "/calendars",
    "/calendars/moscow",
    "/recomputations",
    "/root-causes",
    "/root-causes/new",
    "/root-causes/service.waiting",
    "/light-cases",
    "/contact-rules",
    "/policies?program=~light",
    "/events",
    "/nps?a=branch&b=Колл-центр",
    "/themes?period=quarter",
    "/themes/of/waiting?period=quarter&step=week",
    "/themes/suggestions",
    "/themes/taxonomy",
    "/themes/taxonomy/waiting",
    "/themes/taxonomy/urgent.legal",
    "/drivers",
    "/instruments",
    "/customers",
    "/customers/customer-1",
    "/reach/customer-1",
    "/accounts",
    "/silences",
    "/segments",
    "/dead-letters",
    "letter",
    "/sources",
    "/sources/new",
    "/sources/new/typeform",
    "/sources/shop",
    "/sources/shop/test",
    "/sources/shop/map",
    "/sources/shop/replay",
    "/deliveries",
    "delivery",
    "/subscriptions",
    "/subscriptions/new",
    "hook",
    "hook log",
    "hook delivery",
    "/nowhere",
)
FORBIDDEN: Final = 403
LETTER: Final = "/dead-letters/casework.scores:0"

# What a reader with a screen reader, or with weak eyes, would meet. Each entry is one thing that is wrong.
_WRONG: Final = r"""
() => {
  const wrong = [];
  const say = (what, element) => wrong.push(`${what}: ${element.outerHTML.replace(/\s+/g, " ").slice(0, 140)}`);
  const visible = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: false });
  const name = (element) =>
    (element.getAttribute("aria-label") || element.innerText || element.title || "").trim();

  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (field.labels.length === 0 && !field.getAttribute("aria-label")) say("a field without a label", field);
  for (const group of document.querySelectorAll("fieldset"))
    if (!group.querySelector("legend")) say("a group without a legend", group);
  for (const control of document.querySelectorAll("a[href], button, summary"))
    if (visible(control) && !name(control)) say("a control without a name", control);
  for (const drawing of document.querySelectorAll("svg"))
    if (!drawing.ariaHidden && !drawing.getAttribute("aria-label") && !drawing.getAttribute("aria-labelledby"))
      say("a drawing without words", drawing);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const attribute of ["aria-labelledby", "aria-describedby"])
      for (const id of (element.getAttribute(attribute) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) say(`names #${id}, which is not there`, element);

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`the id ${id} stands twice`);

  const levels = [...document.querySelectorAll("h1, h2, h3, h4")]
    .filter((heading) => !heading.closest("dialog"))
    .map((heading) => Number(heading.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) wrong.push(`${levels.join()}: not exactly one h1`);
  levels.forEach((level, at) => at && level > levels[at - 1] + 1 && wrong.push(`${levels.join()}: a level is skipped`));

  if (document.querySelectorAll("main").length !== 1) wrong.push("not exactly one main");
  for (const nav of document.querySelectorAll("nav:not([aria-label])")) say("a nav without a name", nav);
  if (!["ru", "en"].includes(document.documentElement.lang)) wrong.push("the page has no language");
  if (!document.title.includes(" · ")) wrong.push("the page has no title of its own");
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} px wide`);

  for (const control of document.querySelectorAll("a[href], button, summary, select, input:not([type=hidden])")) {
    if (!visible(control) || getComputedStyle(control).display === "inline") continue;
    const box = control.getBoundingClientRect();
    if (box.width && box.top >= 0 && (box.width < 24 || box.height < 24)) say("a target below 24 px", control);
  }
  return wrong;
}
"""

# WCAG 2.2 1.4.3: every visible text against what stands behind it.
_TOO_FAINT: Final = r"""
() => {
  const rgb = (value) => value.match(/[\d.]+/g).map(Number);
  const channel = (c) => ((c /= 255), c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const over = (top, below) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((at) => top[at] * alpha + below[at] * (1 - alpha));
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest("svg, .sr, .skip, template, option")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(rgb(style.color)), luminance(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return found;
}
"""


async def campaigning(company: Company) -> str:
    """A change that can be told, and a draft that tells it with a trial of it on its way; the draft's address."""
    await company.shipped()
    await company.told_customers("customer-1", "customer-2")
    await company.told_customers("customer-3", consent=False)
    said = {"subject": "Второе окно в обед", "learned": "В обед ждали сорок минут.", "changed": "Окон два. " * 30}
    body: dict[str, object] = {
        "name": "Второе окно в обед",
        "initiative_ids": ["second-counter"],
        "audience": {"customers": {"which": "raised", "themes": ["waiting"], "tiers": ["standard"]}},
        "content": {"ru": said, "en": said | {"next_steps": "More counters"}},
    }
    made = await company.notify("olga", "manager", "POST", "/v1/campaigns", json=body)
    trial = {"email": "olga@example.org", "language": "ru"}
    await company.notify("olga", "manager", "POST", f"/v1/campaigns/{made['id']}/test", json=trial)
    return f"/campaigns/{made['id']}"


async def fill(company: Company) -> str:
    """A day's work, so that every part of every page has something to show; the id of the richest case."""
    await company.unhappy("customer-2", "ООО «Ромашка», Елена Владимировна Петрова-Водкина", hours_ago=51)
    await company.unhappy("customer-3", "Soon", hours_ago=46, comment=None)
    case_id = await company.unhappy(tier="key", score=1)
    for action, body in (
        ("contact-attempts", {"outcome": "no_answer"}),
        ("contact-attempts", {"outcome": "reached", "note": "Ждёт возврата денег"}),
        ("escalate", {"reason": "no_authority", "note": "Нужна скидка"}),
        ("resolve", {"root_cause_id": "service.waiting"}),
        ("reopen", {"note": "Деньги не пришли"}),
    ):
        await company.casework("POST", f"/v1/cases/{case_id}/{action}", json=body)
    await company.carry()
    await company.measured(*[10] * 7, *[8] * 2, *[3] * 4)
    await company.measured(9, 1, touchpoint="Колл-центр")
    await company.measured(*[9] * 20, *[4] * 6, days_ago=9)
    for days_ago in range(1, 8):
        await company.measured(*[9] * (9 + days_ago), *[4] * days_ago, question="И всё же?", days_ago=days_ago)
    await company.known()
    await company.measured(9, 10, 5, touchpoint=None, kind="relationship")
    await company.measured(*[1] * 6, comment="Сорок минут в очереди, никто не подошёл. " * 4, customer="customer-1")
    await company.measured(*[9] * 7, comment="Приложение удобное, но долго ждать ответа", days_ago=12)
    await company.suggested("перезвонить через неделю", "вход с улицы")
    reason = (
        "Undecodable: ValidationError: Expected `int | null`, got `str` - at `$.score`, and nobody knows why\n  at all"
    )
    await company.set_aside(SURVEY_SCORES, "casework.scores", reason=reason)
    await company.set_aside(SURVEY_SCORES, "portal.events", reason="x" * 300, hours_ago=30)
    await company.set_aside(CUSTOMERS, "notify.customers", value=None, type_="customer.erased.v1", reason="")
    return case_id


async def changed(company: Company) -> str:
    """A change that shipped, others on their way, and a case that was solved; the address of the first."""
    await company.casework("PUT", "/v1/departments/service", json={"name": "Обслуживание", "manager_id": "olga"})
    await company.casework("PUT", "/v1/teams/first", json={"name": "Первая линия", "department_id": "service"})
    for number in range(3):
        solved = await company.unhappy(f"solved-{number}", f"Solved {number}", hours_ago=9 * number + 1)
        for action, body in (
            ("contact-attempts", {"outcome": "reached"}),
            ("resolve", {"root_cause_id": "service.waiting", "customer_contacts": number + 1, "passed_on": number > 1}),
        ):
            await company.casework("POST", f"/v1/cases/{solved}/{action}", json=body)
    await company.carry()
    proposal = {
        "problem": "Люди ждут сорок минут.\nВ обед открыто одно окно.",
        "root_causes": ["service.waiting"],
        "themes": ["waiting"],
        "department_id": "service",
        "owner_id": "olga",
    }
    steps: tuple[tuple[str, dict[str, object]], ...] = (
        ("approve", {"due_on": "2027-03-01", "budget": 1_200_000, "currency": "RUB", "reason": "Дешевле, чем терять"}),
        ("start", {}),
        ("ship", {"learned": "Ждут в обед", "changed": "Второе окно", "next_steps": "Запись по телефону"}),
    )
    addresses = []
    for done in range(len(steps), -1, -1):
        title = f"Второе окно в обеденные часы во всех отделениях города {done}"
        found = await company.casework("POST", "/v1/initiatives", json=proposal | {"title": title})
        for step, told in steps[:done]:
            await company.casework("POST", f"/v1/initiatives/{found['id']}/{step}", json=told)
        addresses.append(f"/initiatives/{found['id']}")
    await company.carry()
    week = {day: [{"start": "09:00", "end": "18:00"}] for day in ("monday", "tuesday")}
    calendar = {"name": "Москва", "zone": "Europe/Moscow", "week": week, "holidays": ["2090-01-01", "2090-05-09"]}
    await company.casework("PUT", "/v1/calendars/moscow", json=calendar)
    await company.casework("POST", "/v1/sla-policies/recompute", json={"dry_run": True, "tier": "key"})
    return addresses[0]


async def asked(company: Company, case_id: str) -> str:
    """What the rich case asks of a department, agreed with its customer and tells colleagues; the task's address."""
    spoken = {
        f"{part}_{language}": "Спасибо, что рассказали. " * 9
        for part in ("opening", "closing")
        for language in ("ru", "en")
    }
    questions = [{"ru": "Что было труднее всего?" * 3, "en": "What was hardest?"}] * 4
    titles = {"title_ru": "Ожидание", "title_en": "Waiting"}
    guide = {**spoken, **titles, "themes": ["waiting", "unheard_of"], "questions": questions}
    for retired in (True, False):
        await company.casework("PUT", "/v1/conversation-guides/own-waiting", json=guide | {"retired": retired})
    for person in ("irina", "olga"):
        await company.attached(case_id, f"Выписка по счёту для {person} за март и половину апреля.pdf", person)
    at = (company.clock() + timedelta(hours=30)).isoformat()
    await company.casework("POST", f"/v1/cases/{case_id}/callbacks", json={"at": at})
    await company.casework("POST", f"/v1/cases/{case_id}/comments", json={"text": "Посмотри, @olga, пожалуйста: " * 20})
    text = {"text": "@irina и @viktor, это про вас", "mentions": ["olga"]}
    await company.casework("POST", f"/v1/cases/{case_id}/comments", json=text)
    body = {"department_id": "service", "title": "Вернуть плату за март и написать клиенту, когда она придёт"}
    task = await company.casework("POST", f"/v1/cases/{case_id}/tasks", json=body)
    await company.carry()
    return f"/tasks/{task['id']}"


async def digested(company: Company) -> None:
    """A digest, and people who are proposed to be named in the next."""
    async with company.databases["notify"].transaction() as tx:
        await digests.freeze(tx, FULL.period, FULL.zone, FULL.content, FULL.quotes[1:])
    await company.proposed(date(2026, 2, 1), "irina", "olga")


async def worded(company: Company) -> str:
    """A draft of a template that has mistakes; its address."""
    parts = {"subject": "Спасибо" * 40, "text": "Привет\n{{ name.secret }}\n", "html": "<p>{{ name", "note": "Короче"}
    made = await company.notify("olga", "manager", "POST", "/v1/templates/thanks/ru", json=parts)
    return f"/templates/thanks/ru/{made['version']}"


async def reached(company: Company) -> None:
    """An address that is not written to, a choice, a provider of SMS, and a list of partners."""
    entry = {"address": "maria@example.org", "reason": "complained", "why": "Попросила больше не писать. " * 8}
    await company.notify("olga", "manager", "POST", "/v1/suppressions", json=entry)
    no = {"granted": False, "why": "Сказала по телефону, что читает новости на сайте"}
    await company.notify("olga", "manager", "PUT", "/v1/consents/customer-1/email/news", json=no)
    provider: dict[str, object] = {
        "channel": "sms",
        "url": "https://sms.example.org/" + "send-a-short-message/" * 6,
        "headers": {"Authorization": "Bearer secret"},
        "body": {"to": "{to}", "text": "{text}"},
    }
    await company.notify("oleg", "operator", "PUT", "/v1/providers/gateway", json=provider)
    partners = {"side": "partners", "name": "Партнёры, которые продают наши услуги на юге страны"}
    await company.notify("olga", "manager", "PUT", "/v1/lists/partners", json=partners)
    member = {"member_id": "p-1", "name": "Елена Петрова-Водкина", "email": "e" * 50 + "@example.org", "language": "ru"}
    await company.notify("olga", "manager", "POST", "/v1/lists/partners/members", json={"put": [member]})


async def hooked(company: Company) -> tuple[str, str]:
    """A subscription that had a test sent; its address and that of the delivery."""
    contact = {"employee_id": "oleg", "name": "Oleg Sidorov", "email": "oleg@example.org", "language": "en"}
    body: dict[str, object] = {
        "name": "Склад и доставка по всем городам",
        "url": "https://hooks.example.org/otklik/" + "warehouse-" * 12,
        "types": ["case.*", "survey.response.scored.v1"],
        "contact": contact,
    }
    made = await company.notify("oleg", "operator", "POST", "/v1/subscriptions", json=body)
    address = f"/subscriptions/{made['id']}"
    sent = await company.notify("oleg", "operator", "POST", f"/v1{address}/test")
    return address, f"{address}/deliveries/{sent['event_id']}"


async def delivered(company: Company) -> str:
    """A source with an account at its vendor, one delivery understood and one not; the id of that one."""
    token = "a token that is long enough"
    asked = {"metric": "nps", "question": "Порекомендуете ли вы нас?" * 9, "scale_min": 0, "scale_max": 10}
    instrument = asked | {"kind": "transactional", "channel": "email"}
    source = {"program": "розница", "instrument": instrument, "secret": token}
    await company.ingest("PUT", "/v1/sources/forms", json=source | {"vendor": "typeform", "field_map": {"score": None}})
    account = {"token": "tfp_0123456789", "survey": "abc", "poll_minutes": 15}
    await company.ingest("PUT", "/v1/sources/forms/account", json=account)
    await company.ingest("PUT", "/v1/sources/shop", json=source | {"vendor": "generic-token"})
    told = {"response_id": "r", "answered_at": "2026-01-05T10:00:00Z", "score": 3, "comment": "Ждала неделю. " * 30}
    await company.deliver(f"/v1/webhooks/shop/{token}", json.dumps(told).encode())
    odd = {**told, "response_id": "r" * 120, "score": "очень плохо", "attributes": {"branch" * 9: "Казань"}}
    kept = await company.deliver(f"/v1/webhooks/shop/{token}", json.dumps(odd).encode())
    return str(kept["delivery_id"])


async def settled(page: Page, path: str) -> None:
    if path == "/events":
        await expect(page.locator(".live-live")).to_be_visible()


@pytest.mark.timeout(1800)  # some eighty pages, one after the other, on a machine that may be slow
@pytest.mark.parametrize(
    ("width", "scheme", "language", "login"),
    [
        (1280, "light", "ru", "olga"),
        (1280, "dark", "en", "ada"),
        (360, "light", "en", "irina"),
        (360, "dark", "ru", "viktor"),
        (820, "light", "ru", "anna"),
        (390, "light", "ru", "ada"),
        (390, "dark", "en", "oleg"),
    ],
)
@pytest.mark.timeout(1800)
async def test_every_page_can_be_read_used_and_does_not_jump(
    company: Company,
    sit_down: SitDown,
    width: int,
    scheme: Literal["light", "dark"],
    language: str,
    login: str,
) -> None:
    case_id, delivery_id = await fill(company), await delivered(company)
    change, task = await changed(company), await asked(company, case_id)
    campaign, template = await campaigning(company), await worded(company)
    await digested(company)
    hook, hook_delivery = await hooked(company)
    await reached(company)
    desk = await (await sit_down(width=width, scheme=scheme, still=True)).log_in(login)
    desk.refusals_expected = True
    wrong: dict[str, Any] = {}
    refused = False
    for page_of in PAGES:
        path = {
            "case": f"/cases/{case_id}",
            "letter": LETTER,
            "delivery": f"/deliveries/{delivery_id}",
            "change": change,
            "campaign": campaign,
            "template": template,
            "hook": hook,
            "hook log": f"{hook}/deliveries",
            "hook delivery": hook_delivery,
            "task": task,
        }.get(page_of, page_of)
        page = await desk.go(path + ("&" if "?" in path else "?") + f"lang={language}")
        if desk.status == FORBIDDEN and refused:
            continue  # the same page as the first that this role may not see
        refused = refused or desk.status == FORBIDDEN
        await settled(page, path)
        found = [
            *await page.evaluate(_WRONG),
            *await page.evaluate(_TOO_FAINT),
            *await page.evaluate("window.violations"),
            *await page.evaluate("window.shifts.map((shift) => `jumps by ${shift}`)"),
        ]
        if await page.evaluate("document.getAnimations().length"):
            found.append("moves, though stillness was asked for")
        if found:
            wrong[page_of] = found
        name = page_of.strip("/").partition("?")[0].replace("/", "-").replace(" ", "-") or "home"
        await desk.keep_picture(f"{name}-{width}-{scheme}-{language}-{login}")
    assert wrong == {}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_the_login_can_be_read_and_used(sit_down: SitDown, width: int, scheme: Literal["light", "dark"]) -> None:
    desk = await sit_down(width=width, scheme=scheme)
    desk.refusals_expected = True
    page = await desk.go("/login?lang=en")
    assert await page.evaluate(_WRONG) == []
    assert await page.evaluate(_TOO_FAINT) == []
    await page.fill("#login", "nobody")
    await page.fill("#password", "nothing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await page.evaluate(_WRONG) == []
    assert await page.evaluate(_TOO_FAINT) == []
    assert await page.evaluate("window.violations") == []


async def test_all_the_forms_of_a_case_can_be_read_and_used(company: Company, sit_down: SitDown) -> None:
    case_id = await fill(company)
    for scheme in ("light", "dark"):
        desk = await (await sit_down(width=360, scheme=scheme)).log_in("olga")
        page = await desk.go(f"/cases/{case_id}")
        for action in await page.locator(".action").all():
            if await action.get_attribute("open") is None:
                await action.locator("summary").click()
            assert await page.evaluate(_WRONG) == []
            assert await page.evaluate(_TOO_FAINT) == []


@pytest.mark.parametrize("width", [390, 1280])
async def test_work_on_many_cases_can_be_read_and_done_without_scripts(
    company: Company, sit_down: SitDown, width: int
) -> None:
    for number in range(3):
        await company.unhappy(f"customer-{number}", f"Мария Константинова-Заозёрная {number}", tier="key")
    desk = await (await sit_down(width=width, scripts=False)).log_in("olga")
    page = await desk.go("/cases?tier=key&customer=customer-1")
    await page.get_by_text("Сохранить этот фильтр").click()
    await page.get_by_label("Название").fill("Ключевые клиенты юга")
    async with turned(page):
        await page.get_by_role("button", name="Сохранить", exact=True).click()
    await page.get_by_text("Ваши фильтры").click()
    found = [*await page.evaluate(_WRONG), *await page.evaluate(_TOO_FAINT)]
    page = await desk.go("/cases?tier=key")
    for number in range(2):
        await page.get_by_label(f"Отметить: Мария Константинова-Заозёрная {number}").check()
    await page.get_by_text("Сделать со многими обращениями сразу").click()
    await page.get_by_label("Что сделать").select_option("escalate")
    await desk.keep_picture(f"many-list-{width}")
    found += [*await page.evaluate(_WRONG), *await page.evaluate(_TOO_FAINT)]
    async with turned(page):
        await page.get_by_role("button", name="Посмотреть, что изменится").click()
    await desk.keep_picture(f"many-preview-{width}")
    found += [*await page.evaluate(_WRONG), *await page.evaluate(_TOO_FAINT)]
    async with turned(page):
        await page.get_by_role("button", name="Выполнить: 2").click()
    await expect(page.get_by_role("status")).to_contain_text("Сделано.")
    found += [*await page.evaluate(_WRONG), *await page.evaluate(_TOO_FAINT)]
    assert found == []


@pytest.mark.timeout(1800)
async def test_large_text_does_not_break_a_page(company: Company, sit_down: SitDown) -> None:
    """WCAG 1.4.4 and 1.4.10: twice the text size, in a narrow window."""
    case_id, delivery_id = await fill(company), await delivered(company)
    change, task = await changed(company), await asked(company, case_id)
    await reached(company)
    desk = await (await sit_down(width=640)).log_in("ada")
    others = [page_of for page_of in PAGES if page_of.startswith("/") and page_of != "/nowhere"]
    for path in (*others, f"/cases/{case_id}", LETTER, f"/deliveries/{delivery_id}", change, task):
        page = await desk.go(path)
        await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 640, path


async def test_a_deadline_that_passes_while_one_looks_becomes_loud(company: Company, sit_down: SitDown) -> None:
    await company.unhappy("customer-1", "Nearly Due", hours_ago=47.99)
    desk = await sit_down()
    await desk.page.clock.install()
    await desk.log_in("olga")
    page = await desk.go("/cases")
    await expect(page.locator(".case-row")).to_contain_text("осталось 1 мин")
    await page.clock.fast_forward(120_000)
    await expect(page.locator(".case-row")).to_contain_text("просрочено на")
    await expect(page.locator(".case-overdue")).to_have_count(1)


async def test_the_server_and_the_page_count_in_the_same_words(company: Company, sit_down: SitDown) -> None:
    for number, hours in enumerate((0.5, 3, 20, 46.2, 47.6, 51, 100)):
        await company.unhappy(f"customer-{number}", f"Customer {number}", hours_ago=hours)
    for language in ("ru", "en"):
        desk = await (await sit_down()).log_in("olga")
        page = await desk.go(f"/cases?lang={language}")
        before = await page.locator("[data-due]").all_inner_texts()
        await page.evaluate("count()")
        after = await page.locator("[data-due]").all_inner_texts()
        assert [text.replace("\xa0", " ").rstrip(".") for text in after] == [
            text.replace("\xa0", " ").rstrip(".") for text in before
        ]
