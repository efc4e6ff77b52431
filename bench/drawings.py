"""What stands behind two of the figures: the study's course and its CPU time, and work per event over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.figures import Figure

_COLOURS: Final = {
    "ingest": "#1f5f8b",
    "scoring": "#2f7d4f",
    "casework": "#b3372f",
    "notify": "#c98a1b",
    "portal": "#6b4c9a",
    "postgres": "#3d3d3d",
    "kafka": "#8a8a8a",
    "load generator": "#c4c4c4",
}


def draw(figures: Sequence[Figure], beside: Path) -> list[Path]:
    """Draw what there is to draw, in files whose names begin as that of `beside` does."""
    drawn = []
    for kind, drawing in (("study", _study), ("growth", _growth)):
        details = {figure.name: figure.detail[kind] for figure in figures if kind in figure.detail}
        if details:
            path = beside.with_name(f"{beside.stem}-{kind}.svg")
            drawing(details, path)
            drawn.append(path)
    return drawn


def _study(details: dict[str, dict[str, Any]], path: Path) -> None:
    [(name, detail)] = details.items()
    plt = _pyplot()
    drawing, (course, spent) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    drawing.suptitle(name)
    for stage, points in detail["progress"].items():
        last = points[-1][1] or 1
        course.plot(
            [at for at, _ in points],
            [done / last * 100 for _, done in points],
            label=stage,
            color=_COLOURS[stage],
            linewidth=1.6,
        )
    course.set(xlabel="seconds from the first request", ylabel="done, %", xlim=(0, None), ylim=(0, 103))
    course.legend(frameon=False, loc="lower right")
    parts = sorted(detail["cpu"].items(), key=lambda part: part[1])
    spent.barh([part for part, _ in parts], [used for _, used in parts], color=[_COLOURS[part] for part, _ in parts])
    for place, (_, used) in enumerate(parts):
        spent.annotate(f"{used:.1f}", (used, place), xytext=(4, 0), textcoords="offset points", va="center")
    spent.set(xlabel="CPU seconds", xlim=(0, max(used for _, used in parts) * 1.15))
    _save(drawing, path)


def _growth(details: dict[str, dict[int, float]], path: Path) -> None:
    plt = _pyplot()
    drawing, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for name, by_rows in details.items():
        service = name.partition(":")[0]
        axes.plot(list(by_rows), list(by_rows.values()), marker="o", label=service, color=_COLOURS[service])
    axes.set_xscale("log")
    axes.set(xlabel="rows in the tables", ylabel="CPU per event, µs", ylim=(0, None))
    axes.legend(frameon=False)
    _save(drawing, path)


def _pyplot() -> Any:  # noqa: ANN401 - a module
    # Slow to import, and not needed where there is nothing to draw.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "otklik"  # the same figures give the same file
    mpl.rcParams["axes.spines.top"] = mpl.rcParams["axes.spines.right"] = False
    return plt


def _save(drawing: Any, path: Path) -> None:  # noqa: ANN401 - matplotlib's figure
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
    _pyplot().close(drawing)
