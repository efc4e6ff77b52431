"""What a run leaves: a table, JSON with everything, drawings."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import drawings, report
from bench.figures import Better, Figure, against_floor


def a_ratio() -> Figure:
    return against_floor(
        "ingest",
        "deliveries",
        floor_name="bare ASGI",
        floor=[45_000.0, 44_000.0, 46_000.0],
        ours=[18_000.0, 18_500.0, 17_000.0],
        measured_in="/s",
        red=0.25,
        goal=0.40,
        notes={"CPU, µs": 48.5},
    )


def a_study() -> Figure:
    progress = {
        stage: [(0.0, 0), (1.0, 60), (2.0, 97)] for stage in ("ingest", "scoring", "casework", "notify", "portal")
    }
    return Figure(
        stage="pipeline",
        name="97 responses",
        unit="s",
        rounds=[120.0],
        red=90.0,
        goal=45.0,
        better=Better.LOWER,
        detail={"study": {"progress": progress, "cpu": {"ingest": 3.5, "postgres": 7.25}}},
    )


def a_growth(service: str) -> Figure:
    return Figure(
        stage="growth",
        name=f"{service}: CPU per event",
        unit="×",
        rounds=[1.0],
        detail={"growth": {1_000: 80.0, 100_000: 82.0, 1_000_000: 85.0}},
    )


def test_a_line_of_the_table_says_what_was_measured_and_how_it_stands() -> None:
    written = io.StringIO()

    Console(width=200, file=written).print(report.table([a_ratio(), a_study()]))
    text = written.getvalue()

    [ratio] = [line for line in text.splitlines() if "deliveries" in line]
    assert [cell.strip() for cell in ratio.strip("│ ").split("│")] == [
        "ingest",
        "deliveries",
        "45\u202f000 /s",
        "18\u202f000 /s",
        "0.4 × floor",
        "0.37–0.42",
        "≥ 0.25",
        "≥ 0.4",
        "goal",
    ]
    [study] = [line for line in text.splitlines() if "97 responses" in line]
    assert "≤ 90" in study
    assert "red" in study


def test_the_json_holds_every_round_and_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"

    report.write_json([a_ratio(), a_growth("scoring")], path, rounds=3, scale=1.0)

    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["rounds"] == 3
    assert content["machine"]["cores"] >= 1
    ratio, growth = content["figures"]
    assert ratio["ours"] == [18_000.0, 18_500.0, 17_000.0]
    assert ratio["notes"] == {"CPU, µs": 48.5}
    assert (ratio["value"], ratio["verdict"], ratio["better"]) == (0.4, "goal", "higher")
    assert growth["detail"] == {"growth": {"1000": 80.0, "100000": 82.0, "1000000": 85.0}}


@pytest.mark.parametrize(("value", "shown"), [(0.40312, "0.403"), (12.345, "12.3"), (45_123.4, "45\u202f123")])
def test_numbers_have_as_many_digits_as_one_can_believe(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_figures_with_a_goal_are_drawn_and_the_same_ones_alike(tmp_path: Path) -> None:
    figures = [a_ratio(), a_study()]

    report.plot(figures, tmp_path / "one.svg")
    report.plot(figures, tmp_path / "other.svg")

    assert "</svg>" in (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_nothing_is_drawn_of_figures_that_promise_nothing(tmp_path: Path) -> None:
    report.plot([a_growth("scoring")], tmp_path / "bench.svg")

    assert not (tmp_path / "bench.svg").exists()


def test_the_study_and_the_growth_are_drawn_beside_the_plot(tmp_path: Path) -> None:
    figures = [a_ratio(), a_study(), a_growth("scoring"), a_growth("casework")]

    drawn = drawings.draw(figures, tmp_path / "bench.svg")

    assert [path.name for path in drawn] == ["bench-study.svg", "bench-growth.svg"]
    assert all("</svg>" in path.read_text(encoding="utf-8") for path in drawn)
