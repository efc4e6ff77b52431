"""The vendors beyond the first few: each documented sample is the right response, and what is odd about each."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from services.ingest.domain.deliveries import Announced, Ignored, NotUnderstood, Understood
from services.ingest.vendors import VENDORS

Understand = Callable[..., Any]
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_tally(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "question_3EKz4n"}, "comment": {"question": "Why?"}}
    response = understood(sample("tally"), "tally", fields=fields).response
    assert response.vendor_response_id == "2wgx4n"
    assert (response.score, response.comment) == (4, "The courier came twice for nothing.")
    assert response.customer_id == "c-21"  # a hidden field, by its label
    assert response.answered_at == datetime(2023, 6, 28, 15, 0, 21, tzinfo=UTC)


def test_tally_s_choices_are_their_texts(sample: Callable[[str], bytes], understood: Understand) -> None:
    response = understood(sample("tally"), "tally", fields={"comment": {"question": "question_w4Q4XB"}}).response
    assert response.comment == "Delivery, Price"


def test_tally_without_the_question_names_it(sample: Callable[[str], bytes], understood: Understand) -> None:
    verdict = understood(sample("tally"), "tally", fields={"score": {"question": "nps"}})
    assert verdict == NotUnderstood("the form has no field 'nps'", "score")


def test_survicate(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "12123"}, "comment": {"question": "12124"}}
    response = understood(sample("survicate"), "survicate", fields=fields).response
    assert response.vendor_response_id == "4f1c2b9e-7d55-4f0e-8a3d-0a55b6d1a9c1"
    assert (response.score, response.comment) == (3, None)  # the comment is another delivery
    assert response.customer_id == "c-5"


def test_survicate_s_completion_brings_no_answer(sample: Callable[[str], bytes], understood: Understand) -> None:
    payload = json.loads(sample("survicate"))
    payload["event"] = {"surveyCompleted": payload["event"]["questionAnswered"]}
    assert isinstance(understood(payload, "survicate"), Ignored)


def test_survicate_s_empty_attributes_are_a_list(sample: Callable[[str], bytes], understood: Understand) -> None:
    payload = json.loads(sample("survicate"))
    payload["event"]["questionAnswered"]["respondent"]["attributes"] = []
    assert understood(payload, "survicate").response.customer_id is None


def test_wootric(sample: Callable[[str], bytes], understood: Understand) -> None:
    response = understood(sample("wootric"), "wootric").response
    assert response.vendor_response_id == "1128"
    assert (response.score, response.comment) == (7, None)
    assert response.customer_id == "123abc"
    assert response.answered_at == datetime(2016, 8, 4, 13, 57, 26, tzinfo=timezone(timedelta(hours=-7)))


def test_wootric_s_dismissal_is_no_response(understood: Understand) -> None:
    assert isinstance(understood(b"decline[id]=19&event_name=created&survey_mode=NPS", "wootric"), Ignored)


def test_wootric_s_property_can_be_the_touchpoint(sample: Callable[[str], bytes], understood: Understand) -> None:
    response = understood(sample("wootric"), "wootric", fields={"touchpoint": {"hidden": "product_plan"}}).response
    assert response.touchpoint == "Web App"


def test_google_forms_answers_go_by_the_titles_of_their_questions(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    fields = {"score": {"question": "How likely are you to recommend us?"}, "comment": {"question": "Why?"}}
    response = understood(sample("google-forms"), "google-forms", fields=fields).response
    assert (response.vendor_response_id, response.score, response.comment) == ("2_ABaOnue", 3, "Nobody called back")


@pytest.mark.parametrize("vendor", ["zendesk", "alchemer"])
def test_our_own_shape_by_another_way(sample: Callable[[str], bytes], understood: Understand, vendor: str) -> None:
    response = understood(sample(vendor), vendor).response
    assert (response.vendor_response_id, response.score, response.customer_id) == ("r-17", 3, "c-8")


def test_chatwoot_says_no_time_so_that_of_receipt_has_to_do(
    sample: Callable[[str], bytes], understood: Understand
) -> None:
    csat = {"metric": "csat", "scale_min": 1, "scale_max": 5}
    response = understood(sample("chatwoot"), "chatwoot", asked=csat).response
    assert (response.vendor_response_id, response.score, response.comment) == ("1402", 2, "Waited for an hour")
    assert response.answered_at == MONDAY


@pytest.mark.parametrize(
    "change", [{"content_type": "text"}, {"event": "conversation_created"}, {"content_attributes": {}}]
)
def test_chatwoot_s_other_messages_are_of_no_effect(
    sample: Callable[[str], bytes], understood: Understand, change: dict[str, Any]
) -> None:
    assert isinstance(understood(json.loads(sample("chatwoot")) | change, "chatwoot"), Ignored)


def test_smartsurvey(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "10002"}, "comment": {"question": "10001"}}
    response = understood(sample("smartsurvey"), "smartsurvey", fields=fields).response
    assert (response.vendor_response_id, response.score) == ("123456789", 6)
    assert response.comment == "Wednesday, What a lovely day."
    assert response.answered_at == datetime(2016, 6, 13, 15, 35, 31, tzinfo=UTC)


def test_asknicely_writes_numbers_and_times_as_text(sample: Callable[[str], bytes], understood: Understand) -> None:
    response = understood(sample("asknicely"), "asknicely").response
    assert (response.vendor_response_id, response.score, response.customer_id) == ("5512", 2, "c-9")
    assert response.answered_at == datetime.fromtimestamp(1772443800, UTC)


def test_asknicely_before_the_answer(sample: Callable[[str], bytes], understood: Understand) -> None:
    payload = json.loads(sample("asknicely"))
    payload["question"]["responded"] = ""
    assert isinstance(understood(payload, "asknicely"), Ignored)


def test_jotform(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "q3_how"}, "comment": {"question": "why"}, "customer": {"question": "5"}}
    response = understood(sample("jotform"), "jotform", fields=fields).response
    assert (response.vendor_response_id, response.score) == ("4791133489169827307", 5)
    assert (response.comment, response.customer_id) == ("The app is slow", "Anna K")


def test_zenloop_s_claim_is_kept_and_never_used(sample: Callable[[str], bytes], understood: Understand) -> None:
    response = understood(sample("zenloop"), "zenloop").response
    assert (response.score, response.comment, response.customer_id) == (10, "Gran producto!", "c-31")
    assert response.claimed_class == "promoter"
    assert response.revised_at - response.answered_at == timedelta(seconds=6)


def test_limesurvey_s_time_is_of_the_source_s_zone(sample: Callable[[str], bytes], understood: Understand) -> None:
    fields = {"score": {"question": "NPS"}, "comment": {"question": "WHY"}}
    verdict = understood(sample("limesurvey"), "limesurvey", fields=fields, time_zone="Europe/Moscow")
    response = verdict.response
    assert (response.vendor_response_id, response.score, response.comment) == ("42", 1, "Долго ждал ответа")
    assert (response.customer_id, response.language) == ("abc123", "ru")
    assert response.answered_at == datetime(2024, 12, 4, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("vendor", sorted(set(VENDORS) - {"generic-token"}))
def test_every_vendor_has_its_sample(sample: Callable[[str], bytes], understood: Understand, vendor: str) -> None:
    asked = {"metric": "csat", "scale_min": 1, "scale_max": 5} if vendor == "chatwoot" else {}
    expected = Announced if VENDORS[vendor].fetched else Understood
    assert isinstance(understood(sample(vendor), vendor, asked=asked), expected)


@pytest.mark.parametrize(("vendor", "response_id"), [("surveymonkey", "5007154402"), ("qualtrics", "R_1hzHbd")])
def test_a_thin_vendor_announces_and_tells_nothing(
    sample: Callable[[str], bytes], understood: Understand, vendor: str, response_id: str
) -> None:
    assert understood(sample(vendor), vendor) == Announced(response_id)


def test_a_deleted_response_is_a_withdrawal(sample: Callable[[str], bytes], understood: Understand) -> None:
    payload = json.loads(sample("surveymonkey")) | {"event_type": "response_deleted"}
    response = understood(payload, "surveymonkey").response
    assert response.withdrawn
    assert response.vendor_response_id == "5007154402"
    assert response.revised_at == datetime(2026, 3, 2, 8, 50, tzinfo=UTC)


def test_surveymonkey_s_fetched_answers(sample: Callable[[str], bytes], fetched: Understand) -> None:
    fields = {"score": {"question": "319352786"}, "comment": {"question": "319352787"}}
    response = fetched(sample("fetched-surveymonkey"), "surveymonkey", fields=fields).response
    assert (response.score, response.comment, response.customer_id) == (4, "Nobody called back", "c-41")
    assert response.answered_at == datetime(2026, 3, 2, 8, 49, 38, tzinfo=UTC)  # and not when we fetched it


def test_qualtrics_fetched_answers(sample: Callable[[str], bytes], fetched: Understand) -> None:
    fields = {"score": {"question": "QID1"}, "comment": {"question": "QID2_TEXT"}}
    response = fetched(sample("fetched-qualtrics"), "qualtrics", fields=fields).response
    assert (response.score, response.comment, response.customer_id) == (3, "Долго ждал", "c-42")
    assert response.language == "RU"
    assert response.answered_at == datetime(2026, 3, 2, 8, 28, 11, tzinfo=UTC)


@pytest.mark.parametrize("score", ["7", " 7 ", "7.0"])
def test_a_whole_number_may_come_as_text_where_the_vendor_writes_it_so(understood: Understand, score: str) -> None:
    form = f"response[id]=1&response[score]={score}&response[created_at]=2016-08-04 13:57:26 UTC&event_name=created"
    verdict = understood(form.replace(" ", "%20").encode() + b"&survey_mode=NPS", "wootric")
    assert verdict.response.score == 7


@pytest.mark.parametrize("score", ["7.5", "seven", "1e1", "٧", "11", "99999999999"])
def test_other_text_is_no_score(understood: Understand, score: str) -> None:
    payload = {"event": "afterSurveyComplete", "response": {"id": "1", "submitdate": "2024-12-04 15:30:00", "N": score}}
    verdict = understood(payload, "limesurvey", fields={"score": {"question": "N"}})
    assert isinstance(verdict, NotUnderstood)
    assert verdict.field == "score"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"response[id]=1&response[id]=2", "twice"),
        (b"response=1&response[id]=2", "both a value and a group"),
        (b"response[id=1", "brackets"),
        (b"a[b][c][d][e][f][g][h][i][j][k][l]=1", "too deeply"),
        (b"a=%FF", "UTF-8"),
        (b"a=\xff", "UTF-8"),
        (b"a=%00", "NUL"),
        (b"&".join(b"a%d=1" % number for number in range(1001)), "more than 1000"),
    ],
)
def test_what_is_no_clear_form_is_not_understood(understood: Understand, body: bytes, why: str) -> None:
    verdict = understood(body, "wootric")
    assert isinstance(verdict, NotUnderstood)
    assert why in verdict.reason


@pytest.mark.parametrize("cut", range(0, 1100, 40))
def test_a_multipart_form_that_is_cut_off_is_not_understood(
    sample: Callable[[str], bytes], understood: Understand, cut: int
) -> None:
    body = sample("jotform")
    assert isinstance(understood(body[: min(cut, len(body) - 10)], "jotform"), NotUnderstood)
