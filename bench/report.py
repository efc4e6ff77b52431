"""The figures as a table, as JSON and as a plot."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from bench.figures import Better, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.figures import Figure

_STYLES: Final = {Verdict.GOAL: "green", Verdict.BETWEEN: "yellow", Verdict.RED: "red", Verdict.SHOWN: "dim"}
_SIGNIFICANT: Final = 1000.0
_FARTHEST: Final = 3.0
"""As far as a bar goes: what is beyond three times the goal is just good."""


def number(value: float) -> str:
    """As many digits as one can believe."""
    if abs(value) >= _SIGNIFICANT:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> Table:
    """One line a figure."""
    drawn = Table(title="Beside the floor of the same run: medians, and the range of the rounds")
    for heading in ("stage", "figure"):
        drawn.add_column(heading)
    for heading in ("floor", "ours", "median", "range", "red line", "goal"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("")
    for figure in figures:
        drawn.add_row(
            figure.stage,
            figure.name,
            _measured(figure.floor, figure.measured_in),
            _measured(figure.ours, figure.measured_in),
            f"{number(figure.value)} {figure.unit}",
            f"{number(min(figure.rounds))}–{number(max(figure.rounds))}",
            _line(figure, figure.red),
            _line(figure, figure.goal),
            f"[{_STYLES[figure.verdict]}]{figure.verdict.value}",
        )
    return drawn


def _measured(rounds: Sequence[float], unit: str) -> str:
    if not rounds:
        return ""
    middle = sorted(rounds)[len(rounds) // 2]
    return f"{number(middle)} {unit}"


def _line(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    return f"{'≥' if figure.better is Better.HIGHER else '≤'} {number(value)}"


def write_json(figures: Sequence[Figure], path: Path, *, rounds: int, scale: float) -> None:
    """Everything that was measured, and on what."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "rounds": rounds,
        "scale": scale,
        "figures": [figure.as_json() for figure in figures],
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Each ratio as the share of its goal: bars to the right of the line have reached it."""
    # Not needed where there is nothing to draw, and slow to import.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    held = [figure for figure in figures if figure.goal]
    if not held:
        return
    shares = [_share(figure) for figure in held]
    colours = {Verdict.GOAL: "#2f7d4f", Verdict.BETWEEN: "#c98a1b", Verdict.RED: "#b3372f", Verdict.SHOWN: "#888888"}
    mpl.rcParams["svg.hashsalt"] = "otklik"  # the same figures give the same file
    drawing, axes = plt.subplots(figsize=(9, 0.42 * len(held) + 1.2), layout="constrained")
    places = range(len(held))
    axes.barh(places, shares, color=[colours[figure.verdict] for figure in held], height=0.62)
    axes.axvline(1.0, color="#222222", linewidth=1)
    axes.set_yticks(list(places), [f"{figure.stage}: {figure.name}" for figure in held])
    axes.invert_yaxis()
    axes.set_xlabel("share of the goal (1 = reached)")
    for place, (figure, share) in enumerate(zip(held, shares, strict=True)):
        axes.annotate(
            f"{number(figure.value)} {figure.unit}",
            (share, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_xlim(0, max(1.2, *shares) * 1.18)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)


def _share(figure: Figure) -> float:
    assert figure.goal  # noqa: S101 - the caller has chosen those that have one
    if figure.better is Better.HIGHER:
        return min(figure.value / figure.goal, _FARTHEST)
    return min(figure.goal / figure.value, _FARTHEST) if figure.value else _FARTHEST
