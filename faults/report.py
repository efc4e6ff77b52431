"""What a run found, as a table for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from faults.verdicts import INVARIANTS

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from faults.trial import Row
    from faults.verdicts import Broken


@dataclass(slots=True)
class Report:
    """A run: its rows, and the ledger at the end."""

    seed: int
    rows: list[Row] = field(default_factory=list)
    ledger: list[Broken] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """How much the ledger compared."""
    took_s: float = 0.0
    finished: bool = False
    """Whether the ledger was reached at all."""

    @property
    def kept(self) -> bool:
        """Whether every invariant was kept by every fault and at the end."""
        return self.finished and not self.ledger and not any(row.broken for row in self.rows)

    @property
    def broken(self) -> list[Broken]:
        """Everything that is broken, in the order in which it was found."""
        return [*(broken for row in self.rows for broken in row.broken), *self.ledger]

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "seed": self.seed,
            "faults": len(self.rows),
            "kept": self.kept,
            "took_s": round(self.took_s, 1),
            "compared": self.sizes,
            "rows": [row.as_json() for row in self.rows],
            "ledger": {
                name: [str(broken) for broken in self.ledger if broken.invariant == number] or "kept"
                for number, name in INVARIANTS.items()
            },
        }

    def write(self, path: Path) -> None:
        """Write the JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the table, and after it what is broken."""
        table = Table(title=f"{len(self.rows)} faults, seed {self.seed}", title_justify="left")
        for name in ("#", "fault", "seed", "after", "what happened", "lasted", "recovered", "invariants"):
            table.add_column(name, justify="right" if name in ("#", "after", "lasted", "recovered") else "left")
        for row in self.rows:
            table.add_row(
                str(row.number),
                row.fault,
                str(row.seed),
                str(row.struck_after),
                escape(row.happened),
                f"{row.lasted_s:.1f} s",
                f"{row.recovered_s:.1f} s",
                f"[red]broken: {', '.join(sorted({str(b.invariant) for b in row.broken}))}[/red]"
                if row.broken
                else "[green]kept[/green]",
            )
        console.print(table)
        sizes = ", ".join(f"{count:,} {what}" for what, count in self.sizes.items())
        console.print(f"The ledger at rest compared {sizes}, after {self.took_s:.0f} s." if sizes else "")
        for row in self.rows:
            for broken in row.broken:
                console.print(f"[red]{row.number} {row.fault}[/red] {escape(str(broken))}")
        for broken in self.ledger:
            console.print(f"[red]at rest[/red] {escape(str(broken))}")
        if self.kept:
            console.print("[green]Every invariant was kept.[/green]")
