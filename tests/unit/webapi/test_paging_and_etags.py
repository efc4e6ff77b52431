import base64
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.webapi.etag import etag, expect, if_match, if_match_required
from libs.webapi.paging import decode_cursor, encode_cursor
from libs.webapi.problem import Problem

POSITION = (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), UUID(int=7), None)


def cursor_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_cursor_gives_back_its_position() -> None:
    cursor = encode_cursor(POSITION)
    assert decode_cursor(cursor, tuple[datetime, UUID, None]) == POSITION


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        "AAAA",
        cursor_of(b"[]"),
        cursor_of(b'["a", 1, 2]'),
        cursor_of(b'["a\\u0000", 1]'),
        cursor_of(b'["a", 9223372036854775808]'),
        cursor_of(b"[" * 50_000),
    ],
)
def test_a_made_up_cursor_is_a_problem_with_the_query(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(cursor, tuple[str, int])
    assert refused.value.status_code == 422
    assert refused.value.body()["errors"] == [
        {"pointer": "/cursor", "in": "query", "detail": "is not a cursor of this list"}
    ]


def test_a_time_without_a_zone_is_no_position() -> None:
    with pytest.raises(Problem):
        decode_cursor(cursor_of(b'["2026-11-21T09:30:00"]'), tuple[datetime])


@given(st.text(max_size=60))
def test_any_text_gives_a_position_or_a_problem(cursor: str) -> None:
    with suppress(Problem):
        assert len(decode_cursor(cursor, tuple[str, int])) == 2


def test_an_etag_comes_back_as_the_version() -> None:
    assert if_match(etag(7)) == 7


@pytest.mark.parametrize("header", [None, "*", " * "])
def test_who_says_nothing_or_anything_expects_no_version(header: str | None) -> None:
    assert if_match(header) is None


@pytest.mark.parametrize("header", ["7", 'W/"7"', '"7", "8"', '"-1"', '"٧٧x"', '"' + "9" * 40 + '"', ""])
def test_a_tag_that_was_never_given_matches_nothing(header: str) -> None:
    with pytest.raises(Problem) as refused:
        if_match(header)
    assert refused.value.status_code == 412


def test_where_it_is_required_its_absence_is_428() -> None:
    with pytest.raises(Problem) as refused:
        if_match_required(None)
    assert refused.value.status_code == 428
    assert if_match_required("*") is None


def test_another_version_than_the_seen_one_is_412_with_the_current_tag() -> None:
    expect(8, None)
    expect(8, 8)
    with pytest.raises(Problem) as refused:
        expect(8, 7)
    assert refused.value.status_code == 412
    assert refused.value.headers == {"ETag": '"8"'}
