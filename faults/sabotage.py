"""Builds that are wrong on purpose, one exact replacement each: a harness that does not catch them proves nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.local.settings import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COPIED: Final = ("libs", "services", "deploy")
"""What services run from."""


def copy_tree(folder: Path) -> Path:
    """Copy what the services run from, so that edits made meanwhile change nothing; the copy's root."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


class NotApplicable(Exception):
    """The text to be replaced is not in its files exactly once: the code has moved on, and the sabotage must follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One mistake, and the fault under which it must show."""

    name: str
    files: str
    """A pattern: the text is in one of these files, once."""
    right: str
    wrong: str
    services: tuple[str, ...]
    """Those that are needed to show it."""
    fault: str
    attempts: int
    """How often the fault may strike until it must have shown."""
    invariant: int
    """Which one it breaks."""
    recovery_s: float = 25.0
    """How long is waited for recovery after a fault, before it is looked."""

    def build(self, folder: Path) -> Path:
        """Copy the tree into a folder and make the mistake there; the copy's root."""
        copy_tree(folder)
        texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob(self.files))}
        found = {path: count for path, text in texts.items() if (count := text.count(self.right))}
        if sum(found.values()) != 1:
            raise NotApplicable(f"{self.name}: found {sum(found.values())} times in {self.files}:\n{self.right}")
        [path] = found
        path.write_text(texts[path].replace(self.right, self.wrong), encoding="utf-8")
        return folder


SABOTAGES: Final = (
    Sabotage(
        name="offsets are committed before the database",
        files="libs/events/consumer.py",
        right="                applied = await self._apply(tx, records)\n",
        wrong=(
            "                await self._commit(records)\n                applied = await self._apply(tx, records)\n"
        ),
        services=("ingest", "scoring"),
        fault="crash@scoring.responses.before_commit",
        attempts=2,
        invariant=4,
    ),
    Sabotage(
        name="offsets are committed automatically",
        files="libs/events/**/*.py",
        right="group_id=self._group,\n            enable_auto_commit=False",
        wrong="group_id=self._group,\n            enable_auto_commit=True",
        services=("ingest", "scoring"),
        fault="database.dropped-then-kill@scoring",
        attempts=2,
        invariant=4,
    ),
    Sabotage(
        name="the inbox has no unique key",
        files="libs/events/schema.py",
        right="handled_at timestamptz NOT NULL,\n        PRIMARY KEY (event_id, consumer)\n",
        wrong="handled_at timestamptz NOT NULL\n",
        services=("ingest", "scoring", "portal"),
        fault="replay@survey.scores",
        attempts=4,
        invariant=3,
    ),
    Sabotage(
        name="deliveries are acknowledged before the commit",
        files="services/ingest/intake.py",
        right="            outcomes = await self._record([waiting.arrival for waiting in batch])\n",
        wrong=(
            "            from services.ingest.domain.deliveries import plan\n"
            "            arrivals = [waiting.arrival for waiting in batch]\n"
            "            self._early = asyncio.get_running_loop().create_task(self._record(arrivals))\n"
            "            outcomes = plan(arrivals, (), {}).outcomes\n"
        ),
        services=("ingest",),
        fault="commit.cut_before@ingest",
        attempts=4,
        invariant=1,
    ),
    Sabotage(
        name="the relay publishes what has a greater id than the last that it saw",
        files="libs/events/relay.py",
        right="            waiting = await outbox.oldest(connection, BATCH)\n",
        wrong=(
            '            last = getattr(self, "_last", 0)\n'
            "            waiting = [row for row in await outbox.oldest(connection, BATCH) if row.id > last]\n"
            "            self._last = max((row.id for row in waiting), default=last)\n"
        ),
        services=("ingest", "scoring"),
        fault="late-commit@ingest",
        attempts=1,
        invariant=4,
    ),
    Sabotage(
        name="a case outlives the withdrawn answer that made it",
        files="services/casework/domain/casebook.py",
        right="        return self._resting_on.get(case.id, set()) <= {answer.response_id}\n",
        wrong="        return False\n",
        services=("ingest", "scoring", "casework"),
        fault="commit.cut_before@ingest",
        attempts=2,
        invariant=3,
    ),
    Sabotage(
        name="mentions of themes are counted twice",
        files="services/scoring/store/counts.py",
        right="    mentions = tally.mentions()\n",
        wrong="    mentions = [*tally.mentions(), *tally.mentions()]\n",
        services=("ingest", "scoring"),
        fault="crash@scoring.mentions.before_commit",
        attempts=1,
        invariant=2,
    ),
    Sabotage(
        name="mails are not marked before their last dot",
        files="services/notify/journal.py",
        right="            ours = await delivery.mark_transmitting(connection, entries, now=self._database.clock())\n",
        wrong="            ours = {entry.id for entry in entries}\n",
        services=("ingest", "scoring", "casework", "notify"),
        fault="crash@notify.after_accepted",
        attempts=2,
        invariant=3,
        recovery_s=75.0,
    ),
)
