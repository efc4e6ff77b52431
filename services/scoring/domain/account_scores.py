"""What an account says as a whole: its contacts' latest answers, weighted by role; nobody's voice drowns another's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from libs.statistics.bounded import bounded_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from libs.events.contracts.responses import SurveyKind
    from libs.events.contracts.scores import NpsClass
    from services.scoring.domain.segments import AccountScoring

Role = Literal["decision_maker", "end_user", "other"]
ROLES: tuple[Role, ...] = get_args(Role)
_LEAST: Final = 0
_MOST: Final = 10
"""Of the scale of recommending."""


class ContactAnswer(NamedTuple):
    """The latest answer of one contact of the account, in one kind of survey."""

    customer_id: str
    name: str
    role: Role
    response_id: str
    program: str
    score: int
    nps_class: NpsClass
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class RoleScore:
    """What those in one role say."""

    role: Role
    weight: float
    contacts: int
    answered: int
    mean: float | None
    worst: int | None


@dataclass(frozen=True, slots=True)
class AccountScore:
    """Of one kind of survey: kinds are never mixed. `score`, `low` and `high` are from 0 to 10."""

    kind: SurveyKind
    score: float
    low: float
    high: float
    roles: tuple[RoleScore, ...]
    answers: tuple[ContactAnswer, ...]
    """The worst first."""
    good_until: datetime
    """When the first of the answers is too old to count."""

    @property
    def answered(self) -> int:
        """The n."""
        return len(self.answers)

    @property
    def contacts(self) -> int:
        """How many people of the account are known."""
        return sum(each.contacts for each in self.roles)

    @property
    def unhappy_deciders(self) -> tuple[ContactAnswer, ...]:
        """Decision makers who are detractors, whatever the others say."""
        return tuple(each for each in self.answers if each.role == "decision_maker" and each.nps_class == "detractor")

    @property
    def flagged(self) -> bool:
        """Whether a decision maker is a detractor."""
        return bool(self.unhappy_deciders)

    def explained(self) -> str:
        """In words, for people."""
        words = [f"{self.answered} of {self.contacts} contacts answered"]
        words.extend(
            f"{each.role.replace('_', ' ')} {each.mean:.3g} (n {each.answered}, weight {each.weight:g})"
            for each in self.roles
            if each.mean is not None
        )
        if self.flagged:
            scores = ", ".join(str(each.score) for each in self.unhappy_deciders)
            words.append(
                f"a decision maker is a detractor (gave {scores}), which the mean of {self.score:.3g} may hide"
            )
        return "; ".join(words)


def role_of(account_role: str | None) -> Role:
    """The role that a contact's answer is weighed by."""
    return account_role if account_role in {"decision_maker", "end_user"} else "other"  # type: ignore[return-value]  # one of them


def account_score(
    kind: SurveyKind, answers: Sequence[ContactAnswer], contacts: dict[Role, int], scoring: AccountScoring
) -> AccountScore | None:
    """The score of an account: the mean of its contacts' answers, each with the weight of its role.

    None where no answer has a weight. The interval says where the score would be if all its contacts had answered, as
    if those who did were any of them; the formula and its sources are in `libs.statistics.bounded`. Whoever answered
    and is no longer among the contacts only makes it narrower.
    """
    mean = bounded_mean(
        [(scoring.weight(each.role), each.score) for each in answers],
        least=_LEAST,
        most=_MOST,
        population_weight=sum(scoring.weight(role) * n for role, n in contacts.items()),
    )
    if mean is None:
        return None
    roles = []
    for role in ROLES:
        scores = [each.score for each in answers if each.role == role]
        roles.append(
            RoleScore(
                role=role,
                weight=scoring.weight(role),
                contacts=contacts.get(role, 0),
                answered=len(scores),
                mean=sum(scores) / len(scores) if scores else None,
                worst=min(scores, default=None),
            )
        )
    return AccountScore(
        kind=kind,
        score=mean.value,
        low=mean.low,
        high=mean.high,
        roles=tuple(roles),
        answers=tuple(sorted(answers, key=lambda each: (each.score, each.customer_id))),
        good_until=min(each.answered_at for each in answers) + timedelta(days=scoring.days),
    )
