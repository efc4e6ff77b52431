"""What scoring found is told in words: drivers with their intervals, accounts with whom they hide, silences."""

from typing import Any

import httpx

from tests.portal_company import Company
from tests.portal_visitor import Visitor, text_of

AT = "2026-11-20T10:00:00Z"


def between(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "ci_low": low, "ci_high": high}


async def test_drivers_are_told_with_interval_and_stake(company: Company, olga: Visitor) -> None:
    stake = {"customers": 7, "valued": 6, "current_value": 125_000}
    levels = [
        {"name": "branch", "n": 80, "nps": between(10, 0, 20), "effect": between(-12, -20, -4), "at_stake": stake},
        {"name": "…", "n": 9, "nps": None, "effect": between(1, -5, 7), "at_stake": None},
    ]
    # One answer to both questions of the page: which programmes there are, and the newest run.
    run: dict[str, Any] = {"items": [], "instrument_breaks": [], "id": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    run |= {"program": "rent", "kind": "transactional", "from": AT, "to": AT, "status": "found", "finished_at": AT}
    run |= {"n": 89, "refused": None, "nps": between(9, 1, 17), "r_squared": between(0.3, 0.2, 0.4)}
    run |= {"drivers": [{"factor": "touchpoint", "name": None, "share": between(0.2, 0.1, 0.3), "levels": levels}]}
    run |= {"left_out": [{"factor": "region", "name": None, "reason": "all_alike"}]}
    company.lines["scoring"].state.answer = httpx.Response(200, json=run)

    page = await olga.get("/drivers?program=rent&lang=en")

    assert page.status_code == 200
    assert "Touchpoint" in text_of(page)
    assert "20.0 % of the differences (95 % interval 10.0–30.0 %)" in text_of(page)
    assert "−12 (−20 … −4) 7 customers, value 125,000" in text_of(page)
    assert "the small ones together" in text_of(page)
    assert page.text.count("driver-unsure") == 1
    assert "Region (all alike)" in text_of(page)


async def test_an_account_names_the_decision_maker_whom_the_mean_hides(company: Company, olga: Visitor) -> None:
    one = {"customer_id": "c-1", "name": "Мария", "role": "decision_maker", "program": "b2b", "score": 4}
    one |= {"nps_class": "detractor", "answered_at": AT}
    role = {"role": "decision_maker", "weight": 3.0, "contacts": 1, "n": 1, "mean": 4.0, "worst": 4}
    score = {
        "kind": "relationship",
        "score": 5.3,
        "ci_low": 2.4,
        "ci_high": 8.1,
        "n": 2,
        "contacts": 3,
        "flagged": True,
    }
    score |= {"unhappy_decision_makers": [one], "roles": [role], "answers": [one]}
    found = {"account_id": "acme", "account_name": "Acme", "days": 365, "scores": [score]}
    company.lines["scoring"].state.answer = httpx.Response(200, json=found)

    page = await olga.get("/accounts/acme?lang=en")

    assert "A decision maker is a detractor: Мария (4)" in text_of(page)
    assert "2 of 3 contacts answered. If all contacts had answered: 95 % sure between 2.4 and 8.1." in text_of(page)

    line = {"account_id": "acme", "account_name": None, "kind": "relationship", "score": 5.3, "n": 2, "contacts": 3}
    line |= {"ci_low": 2.4, "ci_high": 8.1}
    company.lines["scoring"].state.answer = httpx.Response(200, json={"items": [line | {"flagged": True}]})
    assert "5.3 of 10 2.4 … 8.1" in text_of(await olga.get("/accounts?show=flagged&lang=en"))


async def test_silences_say_who_and_why(company: Company, olga: Visitor) -> None:
    silent = {"invitation_id": "i", "reason": "bounced", "customer_id": "c-1", "customer_name": "Мария", "tier": "key"}
    silent |= {"account_id": "acme", "account_name": "Acme", "account_role": "decision_maker", "program": "b2b"}
    answer = {"items": [silent | {"invited_at": AT}], "next_cursor": "further"}
    company.lines["scoring"].state.answer = httpx.Response(200, json=answer)
    page = await olga.get("/silences?lang=ru")
    assert "Мария приглашение не дошло Acme · принимает решения" in text_of(page)
    assert "cursor=further" in page.text


# In these, one answer serves the line by days too: the group is called as a day.
async def test_a_group_too_small_to_be_shown_is_said_to_be_hidden(company: Company, olga: Visitor) -> None:
    hidden = {
        "kind": "transactional",
        "group": "2026-11-20",
        "hidden": True,
        "n": None,
        "ci_low": None,
        "ci_high": None,
    }
    company.lines["scoring"].state.answer = httpx.Response(200, json={"items": [hidden], "instrument_breaks": []})
    page = await olga.get("/nps?touchpoint=branch&lang=en")
    assert page.status_code == 200
    assert "Too few answered: the number is not shown" in text_of(page)
    assert "hidden: too few answers" in text_of(page)


async def test_effort_is_shown_on_its_own_scale(company: Company, olga: Visitor) -> None:
    item = {"kind": "transactional", "group": "2026-11-20", "hidden": False, "n": 40, "scale_min": 1, "scale_max": 7}
    item |= {"mean": 5.25, "ci_low": 4.9, "ci_high": 5.6, "good": 30, "good_share": 0.75}
    item |= {"good_share_ci_low": 0.6, "good_share_ci_high": 0.86}
    company.lines["scoring"].state.answer = httpx.Response(200, json={"items": [item], "instrument_breaks": []})
    page = await olga.get("/nps?metric=ces&touchpoint=branch&lang=en&by=program")
    assert "5.25 from 40 answers 95 % sure it lies between 4.90 and 5.60" in text_of(page)
    assert "75 % say that it was easy (95 % sure between 60 and 86 %)" in text_of(page)
