"""No body, address or cursor that somebody makes up is our fault: 4xx, never 5xx, and nothing is written."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.events.database import Database
from libs.webapi.paging import encode_cursor

Rows = Callable[..., Awaitable[Sequence[Any]]]

over_http = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
PROFILE = {"name": "Анна", "language": "ru", "time_zone": "Europe/Moscow"}
FIELDS = (
    "name", "email", "phone", "language", "time_zone", "account_id", "account_role", "current_value",
    "potential_value", "attributes", "email_consent", "id", "version", "default", "rules", "items",
)  # fmt: skip
nearly_profiles = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3).map(lambda odd: PROFILE | odd)
nearly_rules = st.fixed_dictionaries(
    {
        "rules": st.lists(
            st.fixed_dictionaries(
                {
                    "tier": st.sampled_from(["key", "low"]) | json_values,
                    "when": st.lists(
                        st.fixed_dictionaries(
                            {
                                "field": st.sampled_from(["current_value", "attributes.a"]) | json_values,
                                "op": st.sampled_from([">=", "in", "="]) | json_values,
                                "value": json_values,
                            }
                        ),
                        max_size=2,
                    ),
                }
            ),
            max_size=2,
        )
    }
)
bodies = st.one_of(
    json_values, nearly_profiles, nearly_rules, st.fixed_dictionaries({"items": st.lists(nearly_profiles, max_size=3)})
)


@over_http
@given(
    body=bodies,
    route=st.sampled_from(
        [
            ("PUT", "/v1/customers/c-1"),
            ("POST", "/v1/customers/batch"),
            ("PUT", "/v1/accounts/a-1"),
            ("PUT", "/v1/segment-rules"),
            ("PUT", "/v1/segment-rules?dry_run=true"),
        ]
    ),
    seen=st.sampled_from([None, '"1"', '"999999999999999999"', 'W/"1"', "*", "x"]),
)
async def test_no_body_is_our_fault(
    client: httpx.AsyncClient, body: object, route: tuple[str, str], seen: str | None
) -> None:
    headers = {} if seen is None else {"If-Match": seen}
    answer = await client.request(*route, json=body, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"


@over_http
@given(id_=st.text(min_size=1, max_size=250), method=st.sampled_from(["GET", "DELETE"]))
async def test_no_id_is_our_fault(client: httpx.AsyncClient, id_: str, method: str) -> None:
    url = httpx.URL("http://scoring/v1/customers/", raw_path=b"/v1/customers/" + _percent_encoded(id_))
    answer = await client.request(method, url)
    assert answer.status_code < 500, answer.text


def _percent_encoded(word: str) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in word.encode())


@over_http
@given(
    name=st.sampled_from(
        [
            "program",
            "touchpoint",
            "segment",
            "region",
            "kind",
            "from",
            "to",
            "by",
            "weights",
            "a_program",
            "b_from",
            "margin",
            "limit",
            "cursor",
        ]
    ),
    value=st.text(max_size=300) | st.sampled_from(["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]),
    path=st.sampled_from(
        ["/v1/metrics/nps", "/v1/metrics/ces", "/v1/metrics/compare", "/v1/metrics/sample-size", "/v1/instruments"]
    ),
)
async def test_no_question_is_our_fault(client: httpx.AsyncClient, name: str, value: str, path: str) -> None:
    answer = await client.get(path, params={name: value})
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "position",
    [
        ("", "", "00000000-0000-0000-0000-000000000000", 2**40),
        ("", "", "00000000-0000-0000-0000-000000000000", -(2**63)),
        ("\0", "", "00000000-0000-0000-0000-000000000000", 1),
        ("", "", "not a uuid", 1),
        (),
        None,
    ],
)
async def test_no_cursor_is_our_fault(client: httpx.AsyncClient, position: object) -> None:
    answer = await client.get("/v1/instruments", params={"cursor": encode_cursor(position)})
    assert answer.status_code in {200, 422}


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": 1, "name": 2}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * 2_000_000, "application/json", 413),
    ],
)
async def test_what_is_no_json_is_refused(
    client: httpx.AsyncClient, rows: Rows, content: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    answer = await client.put("/v1/customers/c-1", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert await rows("SELECT id FROM customers") == []


async def test_an_error_of_the_database_names_no_value(database: Database) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT CAST(CAST(:secret AS text) AS integer), 1 / 0"), {"secret": "1"})
    assert "hidden" in str(failed.value)
