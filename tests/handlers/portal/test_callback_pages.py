"""The list of calls that were agreed with customers: by what became of them, one's own and everybody's."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import text

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

_TO_OLGA = text("UPDATE cases SET owner_id = 'olga' WHERE id = :id")
_TO_IRINA = text("UPDATE cases SET owner_id = 'irina' WHERE id = :id")
_EAST = text("UPDATE customers SET time_zone = 'Asia/Vladivostok' WHERE customer_id = 'customer-1'")


async def agreed(company: Company) -> dict[str, str]:
    """Irina is to call Maria, who lives far in the east; Olga's call was moved. Their cases by name."""
    at = company.clock() + timedelta(hours=30)
    cases: dict[str, str] = {}
    for name, statement in (("Мария", _TO_IRINA), ("Пётр", _TO_OLGA)):
        customer = f"customer-{len(cases) + 1}"
        cases[name] = await company.unhappy(customer, name)
        async with company.databases["casework"].transaction() as tx:
            await tx.execute(statement, {"id": cases[name]})
            await tx.execute(_EAST)
        body = {"at": at.isoformat()}
        await company.casework("POST", f"/v1/cases/{cases[name]}/callbacks", json=body)
    moved = {"at": (at + timedelta(hours=3)).isoformat(), "reason": "customer_asked"}
    stored = await company.casework("GET", f"/v1/cases/{cases['Пётр']}")
    callback = stored["callbacks"][0]["id"]
    await company.casework("POST", f"/v1/cases/{cases['Пётр']}/callbacks/{callback}/move", json=moved)
    return cases


async def test_agents_see_their_own_calls_and_who_leads_sees_all(
    company: Company, irina: Visitor, olga: Visitor
) -> None:
    cases = await agreed(company)
    own = await irina.get("/callbacks?whose=all")
    assert "Мария" in own.text
    assert "Пётр" not in own.text
    assert f'href="/cases/{cases["Мария"]}"' in own.text
    at = datetime.fromisoformat(re.findall(r'<b><time datetime="([^"]+)"', own.text)[0]).astimezone(UTC)
    there = at.astimezone(ZoneInfo("Asia/Vladivostok"))
    assert re.search(f"у клиента [а-я]+, {there:%H:%M}", text_of(own))

    assert "Мария" not in (await olga.get("/callbacks")).text
    every = await olga.get("/callbacks?whose=all")
    assert every.text.index("Мария") < every.text.index("Пётр")
    assert "перенесён 1 раз" in text_of(every)
    assert "Пётр" not in (await olga.get("/callbacks?whose=irina")).text


async def test_calls_are_found_by_what_became_of_them(company: Company, olga: Visitor) -> None:
    cases = await agreed(company)
    moved = await olga.get("/callbacks?whose=all&state=moved")
    assert "Пётр" in moved.text
    assert "Мария" not in moved.text
    assert "Звонков нет" in text_of(await olga.get("/callbacks?whose=all&state=missed"))
    company.clock.shift = timedelta(hours=30)
    reached = {"outcome": "reached"}
    await company.casework("POST", f"/v1/cases/{cases['Мария']}/contact-attempts", json=reached)
    company.clock.shift = timedelta(days=5)
    await olga.log_in("olga")
    kept = await olga.get("/callbacks?whose=all&state=kept&when=week")
    assert "Мария" in kept.text
    assert "Пётр" not in kept.text
    assert "Звонков нет" in text_of(await olga.get("/callbacks?whose=all&when=ahead"))


async def test_without_casework_the_page_says_so(company: Company, irina: Visitor) -> None:
    company.lines["casework"].state.error = httpx.ConnectError("away")
    page = await irina.get("/callbacks")
    assert page.status_code == 503
    assert 'role="alert"' in page.text
