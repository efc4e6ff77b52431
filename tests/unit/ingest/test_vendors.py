import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.events.contracts.responses import address_mark
from services.ingest.domain.deliveries import Ignored, NotUnderstood, Understood
from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.responses import response_id
from services.ingest.domain.sources import Source
from services.ingest.vendors import VENDORS
from services.ingest.vendors.understanding import Reader

Understand = Callable[..., Any]

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
TYPEFORM_MAP = {"score": {"question": "readable_ref_opinion_scale"}, "comment": {"question": "DlXFaesGBpoF"}}


def test_typeform_s_documented_sample_is_the_right_response(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    verdict = understood(sample("typeform"), "typeform", fields=TYPEFORM_MAP)
    assert isinstance(verdict, Understood)
    response = verdict.response
    assert response.vendor_response_id == "a3a12ec67a1365927098a606107fac15"
    assert response.score == 5  # and not 9, the quiz's score
    assert response.comment == "It's cold right now! I live in an older medium-sized city with a university."
    assert response.customer_id == "abc123456"
    assert response.touchpoint == "branch-12"
    assert response.answered_at == datetime(2018, 1, 18, 18, 17, 2, tzinfo=UTC)
    assert response.revised_at == response.answered_at
    assert verdict.response_id == response_id("typeform-main", "a3a12ec67a1365927098a606107fac15")


def test_delighted_s_documented_sample_is_the_right_response(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    response = understood(sample("delighted"), "delighted").response
    assert response.vendor_response_id == "5435"
    assert response.score == 9
    assert response.comment == "Your service is fast and flawless!"
    assert response.customer_id is None  # Delighted's own id of a person is nobody else's
    assert response.answered_at == datetime.fromtimestamp(1732186844, UTC)
    assert response.revised_at == response.answered_at + timedelta(minutes=10)


def test_formbricks_documented_sample_is_the_right_response(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    fields = {"score": {"question": "q1"}, "comment": {"question": "q2"}}
    response = understood(sample("formbricks"), "formbricks", fields=fields).response
    assert response.vendor_response_id == "responseId"
    assert (response.score, response.comment) == (2, "Just browsing")
    assert (response.customer_id, response.language) == ("c-77", "en")
    assert response.answered_at == datetime(2025, 7, 24, 7, 47, 29, 507_000, tzinfo=UTC)
    assert response.revised_at == datetime(2025, 7, 24, 7, 47, 56, 116_000, tzinfo=UTC)


def test_formbricks_without_the_list_is_the_same(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "q1"}}
    [payload] = json.loads(sample("formbricks"))
    assert understood(payload, "formbricks", fields=fields) == understood([payload], "formbricks", fields=fields)
    assert isinstance(understood([payload, payload], "formbricks", fields=fields), NotUnderstood)


@pytest.mark.parametrize("vendor", ["generic", "generic-token"])
def test_our_own_shape_is_the_right_response(
    sample: Callable[[str], bytes], understood: Understand, vendor: str
) -> None:
    response = understood(sample("generic"), vendor).response
    assert (response.vendor_response_id, response.score, response.comment) == ("r-17", 3, "Никто не перезвонил.")
    assert (response.customer_id, response.touchpoint, response.language) == ("c-8", "branch-12", "ru")
    assert response.claimed_class == "passive"  # recorded, and contradicted elsewhere
    assert response.revised_at == datetime(2026, 3, 1, 9, 34, tzinfo=UTC)


@pytest.mark.parametrize(
    ("vendor", "key"),
    [
        ("typeform", "LtWXD3crgy"),
        ("delighted", "b8d057c59327541d7ec2104c0a9a255ad1997fb00831b9c6bbf09561e6d5cbd0"),
        ("formbricks", None),
        ("generic", None),
    ],
)
def test_the_vendor_s_id_of_the_delivery_is_found(
    sample: Callable[[str], bytes], a_source: Callable[..., Source], vendor: str, key: str | None
) -> None:
    delivery_id, _ = Reader(VENDORS[vendor], a_source(vendor)).read(sample(vendor), MONDAY)
    assert delivery_id == key
    assert (VENDORS[vendor].delivery_id_header is not None) == (key is None)


def test_answers_to_choices_are_their_labels(understood: Understand) -> None:
    def comment(answer: dict[str, Any]) -> str | None:
        payload = a_form(answers=[{"field": {"ref": "why"}, **answer}])
        found: str | None = understood(payload, fields={"comment": {"question": "why"}}).response.comment
        return found

    assert comment({"type": "choice", "choice": {"label": "London"}}) == "London"
    assert comment({"type": "choice", "choice": {"other": "Suzdal"}}) == "Suzdal"
    assert comment({"type": "choices", "choices": {"labels": ["London", "Sydney"], "other": "Suzdal"}}) == (
        "London, Sydney, Suzdal"
    )


def test_delighted_s_additional_answers_can_be_mapped(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"comment": {"question": "enum_z9EvYV"}}
    assert understood(sample("delighted"), "delighted", fields=fields).response.comment == "Convenience, Friendly staff"


def unsubscribed(**told: object) -> dict[str, object]:
    return {"event_type": "unsubscribe.created", "event_id": "e", "event_data": told}


def test_delighted_s_unsubscribe_names_the_customer_or_else_the_mark_of_the_address(understood: Understand) -> None:
    flat = unsubscribed(person_id="1", email=" Anna@Example.org", name=None, unsubscribed_at=1440621400)
    known = unsubscribed(person={"id": "1", "email": "anna@example.org"}, person_properties={"customer_id": "c-8"})
    by_address, by_id = understood(flat, "delighted"), understood(known, "delighted")
    assert (by_address.customer_id, by_address.address_mark) == (None, address_mark("anna@example.org"))
    assert (by_id.customer_id, by_id.address_mark) == ("c-8", None)
    assert by_address.unsubscribed_at == datetime(2015, 8, 26, 20, 36, 40, tzinfo=UTC)
    assert by_address.channel == by_id.channel == "email"


def test_an_unsubscribe_by_an_address_that_the_map_takes_for_the_customer_names_it_as_responses_do(
    understood: Understand,
) -> None:
    fields = {"customer": {"path": "event_data.person.email"}}
    verdict = understood(unsubscribed(person={"email": "anna@example.org"}), "delighted", fields=fields)
    assert (verdict.customer_id, verdict.address_mark) == ("anna@example.org", None)


def test_an_unsubscribe_of_nobody_is_not_understood(understood: Understand) -> None:
    verdict = understood(unsubscribed(), "delighted")
    assert isinstance(verdict, NotUnderstood)
    assert verdict.field == "customer_id"
    assert "event_data.person.email" in verdict.reason


def test_formbricks_test_of_the_address_is_ignored_with_its_reason(understood: Understand) -> None:
    assert isinstance(understood({"event": "testEndpoint"}, "formbricks"), Ignored)


@pytest.mark.parametrize("vendor", ["typeform", "delighted", "formbricks"])
@pytest.mark.parametrize("type_", ["something.new", None, 7, ["form_response"]])
def test_an_event_type_that_nobody_knows_is_not_understood(understood: Understand, vendor: str, type_: object) -> None:
    place = ".".join(VENDORS[vendor].event_type or ())
    verdict = understood({place: type_}, vendor)
    assert isinstance(verdict, NotUnderstood)
    assert place in verdict.reason


def test_answers_of_another_kind_of_survey_do_not_mix_into_the_series(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    payload = json.loads(sample("delighted"))
    payload["event_data"]["survey_type"] = "csat"
    verdict = understood(payload, "delighted")
    assert isinstance(verdict, NotUnderstood)
    assert "csat" in verdict.reason
    assert "nps" in verdict.reason


@pytest.mark.parametrize("vendor", sorted(VENDORS))
@pytest.mark.parametrize(
    "payload",
    [None, [], {}, 7, "text", {"form_response": []}, {"event_data": "x"}, {"data": {"data": "thanks"}}, [[]], [None]],
)
def test_what_makes_no_sense_is_not_understood(understood: Understand, vendor: str, payload: object) -> None:
    verdict = understood(payload, vendor, fields={"score": {"question": "nps"}})
    assert isinstance(verdict, NotUnderstood)
    assert verdict.reason


def test_formbricks_answers_that_are_no_object_are_named(understood: Understand) -> None:
    payload = {
        "event": "responseFinished",
        "data": {"id": "r", "createdAt": "2026-03-01T10:00:00Z", "data": "many thanks"},
    }
    verdict = understood(payload, "formbricks", fields={"score": {"question": "nps"}})
    assert verdict == NotUnderstood("data.data is text, not an object", "score")


def test_every_vendor_says_where_its_own_fields_are_or_needs_a_map_for_the_score() -> None:
    for vendor in VENDORS.values():
        assert vendor.name == vendor.name.lower()
        assert vendor.content_types
        assert vendor.event_types.isdisjoint(vendor.ignored)
        assert vendor.fields.claimed_class is None or vendor.fields.score is not None


def test_a_source_s_field_map_goes_before_the_vendor_s() -> None:
    mine = FieldMap(customer=Reference("path", "a.b"))
    merged = mine.over(FieldMap(customer=Reference("hidden", "c"), touchpoint=Reference("hidden", "t")))
    assert merged == FieldMap(customer=Reference("path", "a.b"), touchpoint=Reference("hidden", "t"))
    assert FieldMap.from_json(merged.as_json()) == merged  # type: ignore[arg-type] # its own form


def a_form(**changes: object) -> dict[str, Any]:
    response: dict[str, Any] = {
        "token": "t-1",
        "submitted_at": "2026-03-01T10:00:00Z",
        "hidden": {"customer_id": "c-1"},
        "answers": [],
    }
    return {"event_id": "e-1", "event_type": "form_response", "form_response": response | changes}
