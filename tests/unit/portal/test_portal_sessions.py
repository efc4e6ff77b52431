from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portal.domain.sessions import Throttle, safe_next, same_origin

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THROTTLE = Throttle(free=3, first_wait=timedelta(seconds=10), longest=timedelta(minutes=2))


@pytest.mark.parametrize(
    ("failures", "waits"), [(0, None), (2, None), (3, 10), (4, 20), (5, 40), (6, 80), (7, 120), (5_000, 120)]
)
def test_each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_bound(failures: int, waits: int | None) -> None:
    wait = THROTTLE.wait(failures, NOW, NOW)
    assert wait == (None if waits is None else timedelta(seconds=waits))


def test_what_was_waited_already_counts_and_an_hour_forgives_everything() -> None:
    assert THROTTLE.wait(3, NOW, NOW + timedelta(seconds=4)) == timedelta(seconds=6)
    assert THROTTLE.wait(3, NOW, NOW + timedelta(seconds=10)) is None
    assert THROTTLE.wait(5_000, NOW, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize("path", ["/", "/cases", "/cases?whose=all&level=management", "/cases/1#timeline", "/a:b"])
def test_a_path_of_ours_is_gone_to(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        "",
        "cases",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/\u202eevil",
        "javascript:alert(1)",
        "/" + "a" * 600,
    ],
)
def test_anything_that_a_browser_could_take_for_another_host_leads_home(wanted: str | None) -> None:
    assert safe_next(wanted) == "/"


@given(st.text(max_size=40))
def test_whatever_is_wanted_the_answer_is_a_path_of_ours(wanted: str) -> None:
    found = safe_next(wanted)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()


@pytest.mark.parametrize(
    ("origin", "fetch_site", "scheme", "ours"),
    [
        ("https://portal.example", None, "https", True),
        ("http://portal.example", None, "http", True),
        ("https://portal.example", None, "http", True),
        ("http://portal.example", None, "https", False),
        ("https://evil.example", "same-origin", "https", False),
        ("https://portal.example.evil.example", None, "https", False),
        ("https://portal.example:8443", None, "https", False),
        ("null", "same-origin", "https", False),
        ("", None, "https", False),
        (None, "same-origin", "https", True),
        (None, "same-site", "https", False),
        (None, "cross-site", "https", False),
        (None, None, "https", False),
    ],
)
def test_a_form_counts_only_when_the_browser_says_that_it_came_from_us(
    origin: str | None,
    fetch_site: str | None,
    scheme: str,
    ours: bool,  # noqa: FBT001 - a table
) -> None:
    assert same_origin(origin, fetch_site, scheme=scheme, host="portal.example") is ours
