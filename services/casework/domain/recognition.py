"""Recognition: who closed loops exceptionally well, by a rule that everybody may read.

A case is *closed well* when three things are true of it: the customer said that it is solved, somebody reached them
within 48 hours of their answer, and it never had to be reopened. A person is proposed for a month when it is sure
enough that they closed well more often than the others would have closed the same cases:

    the lower bound of Wilson's 95 % interval of their share  >  what the others' shares say for their cases,
                                                                 and more than one half

- Only the share counts, with how sure it is. Whoever closes more cases equally well as the others is not above them,
  however many; a few lucky cases are not sure enough.
- Hard cases are not held against anybody: what is expected of a person is the others' share for each *difficulty*, by
  how unhappy the answers were, weighed by how many of each the person had (indirect standardisation). Where the others
  had few of one difficulty, their share for all cases stands in, weighed as `BORROWED` cases.
- Below `MINIMUM` cases of one's own, or of the others, nobody is compared.

E. B. Wilson, JASA 22, 1927, 209-212, for the interval; N. Breslow, N. Day, "Statistical Methods in Cancer Research" II,
1987, 2.3, for the standardisation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid5

from libs.statistics.proportions import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from services.casework.domain.names import AgentId

MINIMUM: Final = 10
"""Cases closed in the month, so that an interval says something; of the person, and of all others together."""
BORROWED: Final = 10
"""As how many cases the others' share for everything counts in their share for one difficulty."""
AT_LEAST: Final = 0.5
"""Where everybody does badly, doing a little better is no reason to be named."""
_NAMESPACE: Final = UUID("0c6f1a52-6a2f-5a0e-8a55-3f0f7b6f5d10")

Refusal = Literal["own", "opted_out", "decided"]


class Status(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one person closed of one difficulty in a month."""

    agent_id: AgentId
    difficulty: int
    cases: int
    """Closed after a resolution, whatever the customer said to it or did not say."""
    confirmed: int
    in_time: int
    never_reopened: int
    well: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one person closed cases in a month, beside what could be expected."""

    agent_id: AgentId
    cases: int
    confirmed: int
    in_time: int
    never_reopened: int
    well: int
    share: float
    low: float
    high: float
    expected: float
    """The share of the same cases that the others would have closed well."""

    @property
    def is_exceptional(self) -> bool:
        """Whether they are proposed."""
        return self.low > max(self.expected, AT_LEAST)


def standings(tallies: Iterable[Tally]) -> list[Standing]:
    """Everybody who can be compared, the surest first."""
    of_agent: dict[AgentId, list[Tally]] = defaultdict(list)
    of_difficulty: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for tally in tallies:
        of_agent[tally.agent_id].append(tally)
        well, cases = of_difficulty[tally.difficulty]
        of_difficulty[tally.difficulty] = (well + tally.well, cases + tally.cases)
    found = [_standing(agent_id, own, of_difficulty) for agent_id, own in of_agent.items()]
    compared = [each for each in found if each is not None]
    return sorted(compared, key=lambda each: (each.expected - each.low, each.agent_id))


def _standing(agent_id: AgentId, own: Sequence[Tally], everybody: dict[int, tuple[int, int]]) -> Standing | None:
    cases, well = sum(each.cases for each in own), sum(each.well for each in own)
    others_well = sum(each for each, _ in everybody.values()) - well
    others_cases = sum(each for _, each in everybody.values()) - cases
    if cases < MINIMUM or others_cases < MINIMUM:
        return None
    in_general = others_well / others_cases
    expected = 0.0
    for each in own:
        all_well, all_cases = everybody[each.difficulty]
        of_others = all_well - each.well + BORROWED * in_general
        expected += each.cases * of_others / (all_cases - each.cases + BORROWED)
    found = share(well, cases)
    return Standing(
        agent_id=agent_id,
        cases=cases,
        confirmed=sum(each.confirmed for each in own),
        in_time=sum(each.in_time for each in own),
        never_reopened=sum(each.never_reopened for each in own),
        well=well,
        share=found.value or 0.0,
        low=found.low or 0.0,
        high=found.high or 0.0,
        expected=expected / cases,
    )


def refused(
    *, agent_id: AgentId, status: Status, opted_out: bool, by: str | None, to: Literal["approve", "decline"]
) -> Refusal | None:
    """Why somebody may not decide so about a proposal. Nobody decides about themselves, neither way."""
    if by == agent_id:
        return "own"
    if status is not Status.PROPOSED:
        return "decided"
    return "opted_out" if opted_out and to == "approve" else None


def proposal_id(month: date, agent_id: AgentId) -> UUID:
    """One proposal per person and month, ever."""
    return uuid5(_NAMESPACE, f"{month:%Y-%m}/{agent_id}")


def last_month(now: datetime, where: tzinfo) -> date:
    """The first day of the month that ended last by the company's clock."""
    first = now.astimezone(where).date().replace(day=1)
    return (first - timedelta(days=1)).replace(day=1)


def bounds(month: date, where: tzinfo) -> tuple[datetime, datetime]:
    """When a month begins and ends by the company's clock."""
    following = (month + timedelta(days=32)).replace(day=1)
    return datetime.combine(month, time(), tzinfo=where), datetime.combine(following, time(), tzinfo=where)
