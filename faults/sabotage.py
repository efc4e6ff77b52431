"""Builds that are wrong on purpose, by exact replacements: a harness that does not catch each of them proves nothing.

Mistakes that only the whole ledger sees share a build, because what costs time is to play it to its end. Each has a
finding of its own, by which it must be caught; what another one breaks does not count for it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from faults.verdicts import Broken

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
class Mistake:
    """One replacement, and how it must show."""

    name: str
    files: str
    """A pattern: the text is in one of these files, once."""
    right: str
    wrong: str
    invariant: int
    """Which one it breaks."""
    finding: str = ""
    """How that begins to be called, where others of the build break the same one."""

    def make(self, folder: Path) -> None:
        """Make it in a copy of the tree."""
        texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob(self.files))}
        found = {path: count for path, text in texts.items() if (count := text.count(self.right))}
        if sum(found.values()) != 1:
            raise NotApplicable(f"{self.name}: found {sum(found.values())} times in {self.files}:\n{self.right}")
        [path] = found
        path.write_text(texts[path].replace(self.right, self.wrong), encoding="utf-8")

    def shows_in(self, broken: Iterable[Broken]) -> bool:
        """Whether it was caught."""
        return any(each.invariant == self.invariant and each.what.startswith(self.finding) for each in broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """A build with mistakes in it, and the faults under which they must show."""

    mistakes: tuple[Mistake, ...]
    services: tuple[str, ...]
    """Those that are needed to show it."""
    faults: str
    """Patterns, separated by commas."""
    attempts: int
    """How many of them may strike until all must have shown."""
    recovery_s: float = 25.0
    """How long is waited for recovery after a fault, before it is looked."""

    @property
    def name(self) -> str:
        """Of its mistakes."""
        return "; ".join(mistake.name for mistake in self.mistakes)

    def build(self, folder: Path) -> Path:
        """Copy the tree into a folder and make the mistakes there; the copy's root."""
        copy_tree(folder)
        for mistake in self.mistakes:
            mistake.make(folder)
        return folder

    def missed(self, broken: Sequence[Broken]) -> list[str]:
        """The mistakes that did not show."""
        return [mistake.name for mistake in self.mistakes if not mistake.shows_in(broken)]


SABOTAGES: Final = (
    Sabotage(
        mistakes=(
            Mistake(
                name="offsets are committed before the database",
                files="libs/events/consumer.py",
                right="                applied = await self._apply(tx, records)\n",
                wrong=(
                    "                await self._commit(records)\n"
                    "                applied = await self._apply(tx, records)\n"
                ),
                invariant=4,
                finding="committed offsets that passed what was not done",
            ),
        ),
        services=("ingest", "scoring"),
        faults="crash@scoring.responses.before_commit",
        attempts=6,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="offsets are committed automatically",
                files="libs/events/**/*.py",
                right="group_id=self._group,\n            enable_auto_commit=False",
                wrong="group_id=self._group,\n            enable_auto_commit=True",
                invariant=4,
                finding="committed offsets that passed what was not done",
            ),
        ),
        services=("ingest", "scoring"),
        faults="database.dropped-then-kill@scoring",
        attempts=6,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="the inbox has no unique key",
                files="libs/events/schema.py",
                right="handled_at timestamptz NOT NULL,\n        PRIMARY KEY (event_id, consumer)\n",
                wrong="handled_at timestamptz NOT NULL\n",
                invariant=3,
            ),
        ),
        services=("ingest", "scoring", "portal"),
        faults="replay@survey.scores",
        attempts=6,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="deliveries are acknowledged before the commit",
                files="services/ingest/intake.py",
                right="            outcomes = await self._record([waiting.arrival for waiting in batch])\n",
                wrong=(
                    "            from services.ingest.domain.deliveries import plan\n"
                    "            arrivals = [waiting.arrival for waiting in batch]\n"
                    "            self._early = asyncio.get_running_loop().create_task(self._record(arrivals))\n"
                    "            outcomes = plan(arrivals, (), {}).outcomes\n"
                ),
                invariant=1,
            ),
        ),
        services=("ingest",),
        faults="commit.cut_before@ingest",
        attempts=6,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="the relay publishes what has a greater id than the last that it saw",
                files="libs/events/relay.py",
                right="            waiting = await outbox.oldest(connection, BATCH)\n",
                wrong=(
                    '            last = getattr(self, "_last", 0)\n'
                    "            waiting = [row for row in await outbox.oldest(connection, BATCH) if row.id > last]\n"
                    "            self._last = max((row.id for row in waiting), default=last)\n"
                ),
                invariant=4,
            ),
        ),
        services=("ingest", "scoring"),
        faults="late-commit@ingest",
        attempts=6,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="mails are not marked before their last dot",
                files="services/notify/journal.py",
                right="        ours = await delivery.mark_transmitting(self._database, entries)\n",
                wrong="        ours = {entry.id for entry in entries}\n",
                invariant=3,
            ),
        ),
        services=("ingest", "scoring", "casework", "notify"),
        faults="crash@notify.after_accepted",
        attempts=6,
        recovery_s=75.0,
    ),
    Sabotage(
        mistakes=(
            Mistake(
                name="a case outlives the withdrawn answer that made it",
                files="services/casework/domain/casebook.py",
                right="        return self._resting_on.get(case.id, set()) <= {answer.response_id}\n",
                wrong="        return False\n",
                invariant=3,
                finding="cases that were not taken back with the answer that made them",
            ),
            Mistake(
                name="mentions of themes are counted twice",
                files="services/scoring/store/counts.py",
                right="    mentions = tally.mentions()\n",
                wrong="    mentions = [*tally.mentions(), *tally.mentions()]\n",
                invariant=2,
                finding="mentions over HTTP and as the sender counts them",
            ),
            Mistake(
                name="who complained, or is gone, is written to again",
                files="services/notify/bounces.py",
                right=("    await suppressions.add_all(tx, list(additions.values()))\n    for each in returned:\n"),
                wrong="    for each in returned:\n",
                invariant=7,
                finding="addresses that are gone, or whose owner complained, and are not on the list",
            ),
            Mistake(
                name="a cancelled campaign goes on",
                files="services/notify/domain/campaigns.py",
                right="    return _next(campaign, status=Status.CANCELLED, ended_at=now)\n",
                wrong="    return _next(campaign)\n",
                invariant=3,
                finding="campaigns that are not over, or not for their audience",
            ),
            Mistake(
                name="who stands in several lists is told a digest several times",
                files="services/notify/store/digests.py",
                right="page.member_id) = 1 AS is_new\n",
                wrong="page.member_id) > 0 AS is_new\n",
                invariant=3,
                finding="people who read digests, and those who were told one: too many",
            ),
            Mistake(
                name="who takes over is not told by whom",
                files="services/casework/domain/commands.py",
                right="            previous_owner_id=previous,\n            reason=reason,\n            tier=",
                wrong="            previous_owner_id=None,\n            reason=reason,\n            tier=",
                invariant=3,
                finding="cases that were handed over, and the events of that: missing",
            ),
        ),
        services=("ingest", "scoring", "casework", "notify"),
        faults="commit.cut_before@ingest,crash@notify.digests.before_commit",
        attempts=4,
        recovery_s=75.0,
    ),
)
