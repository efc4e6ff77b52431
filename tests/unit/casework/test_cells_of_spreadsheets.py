"""A file for spreadsheets says what it was given, and begins no formula."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.casework.domain.spreadsheets import cell, lines


@pytest.mark.parametrize(
    "written",
    ["=1+1", "+7 495 000-00-00", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =cmd|' /C calc'!A0", "＝1+1", "\u00a0=1"],
)
def test_what_begins_like_a_formula_is_text(written: str) -> None:
    assert cell(written) == f"'{written}"


def test_other_values_stand_as_they_are() -> None:
    moscow = datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=3)))
    found = [cell(value) for value in (None, True, -3, 0.5, moscow, datetime(2026, 1, 5, tzinfo=UTC), "a=b", "Ольга")]
    assert found == ["", "true", "-3", "0.5", "2026-01-05T09:00:00Z", "2026-01-05T00:00:00Z", "a=b", "Ольга"]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4), max_size=5))
@settings(max_examples=60, deadline=None)
def test_every_cell_is_read_back_as_it_was_or_behind_an_apostrophe(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(lines(rows).decode(), newline="")))
    assert len(read) == len(rows)
    for before, after in zip(rows, read, strict=True):
        for one, other in zip(before, after, strict=True):
            assert other in (one, f"'{one}")
            assert other.lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
