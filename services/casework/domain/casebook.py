"""The cases in hand of one transaction, and how a batch of answers meets them, one after another.

    revision seen before, or older        nothing
    answer of a case that is not closed   revised; a detractor's no more, of a case that rests on it alone and that
                                          nobody has acted on: the case is taken back
    answer of a closed case               revised; where it only now became a detractor's, as if it were new
    customer has an open case             joined
    a passive's or promoter's, by a rule  opened, as a light case (`outreach`)
    a detractor's                         opened, or kept waiting while the company has nobody to own it
    any other                             remembered, for the customer's history

The order within the batch is kept, so a batch gives what its answers give one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from services.casework.domain import replies
from services.casework.domain.cases import Case, Status
from services.casework.domain.errors import NobodyToAssign
from services.casework.domain.names import case_id_of
from services.casework.domain.outreach import NO_RULES, OutreachRules
from services.casework.domain.routing import Demand
from services.casework.domain.timeline import Actor, Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from services.casework.domain.agents import Staff
    from services.casework.domain.answers import Answer
    from services.casework.domain.cases import CaseKind, Decision
    from services.casework.domain.names import AgentId, CaseId, CustomerId, ResponseId
    from services.casework.domain.policies import Policies, Policy
    from services.casework.domain.routing import Desk
    from services.casework.domain.timeline import Step


class Change(msgspec.Struct, frozen=True, gc=False):
    """One case before (None: it is new) and after the transaction."""

    before: Case | None
    after: Case


class Casebook:
    """Cases that the transaction holds locked, what was decided about them, and every step in its order."""

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self._before: Final[dict[CaseId, Case]] = {case.id: case for case in cases}
        self._now: Final[dict[CaseId, Case]] = dict(self._before)
        self._open: Final[dict[CustomerId, CaseId]] = {
            case.customer_id: case.id
            for case in self._now.values()
            if case.customer_id is not None and case.status is not Status.CLOSED
        }
        self.steps: Final[list[Step]] = []

    def __getitem__(self, id_: CaseId) -> Case:
        return self._now[id_]

    def case(self, id_: CaseId | None) -> Case | None:
        """The case as it is by now."""
        return None if id_ is None else self._now.get(id_)

    def open_case_of(self, customer_id: CustomerId | None) -> Case | None:
        """The customer's case that is not closed; there is never more than one."""
        return None if customer_id is None else self.case(self._open.get(customer_id))

    def put(self, decision: Decision) -> Case:
        """Take a decision about a case into the book."""
        case = decision.case
        self._now[case.id] = case
        self.steps.extend(decision.steps)
        if case.customer_id is not None:
            if case.status is not Status.CLOSED:
                self._open[case.customer_id] = case.id
            elif self._open.get(case.customer_id) == case.id:
                del self._open[case.customer_id]
        return case

    @property
    def cases(self) -> Sequence[Case]:
        """All cases as they are by now."""
        return list(self._now.values())

    @property
    def changes(self) -> Sequence[Change]:
        """Every case that is not what it was."""
        return [
            Change(self._before.get(id_), case) for id_, case in self._now.items() if case is not self._before.get(id_)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What taking answers needs to know besides the cases."""

    now: datetime
    staff: Staff
    desk: Desk
    policies: Policies
    previous_owners: Mapping[CustomerId, AgentId]
    erased_at: Mapping[CustomerId, datetime]
    outreach: OutreachRules = NO_RULES
    """What becomes of answers that are no detractors'."""
    untouched: AbstractSet[CaseId] = frozenset()
    """The cases in the book that nobody has acted on; known where one may have to be taken back."""
    resting_on: Mapping[CaseId, AbstractSet[ResponseId]] = field(default_factory=dict)
    """On which detractors' answers the cases in the book rested before this transaction; known where `untouched` is."""


class Intake:
    """Takes answers into a casebook."""

    def __init__(self, book: Casebook, known: Iterable[Answer], around: Surroundings) -> None:
        self._book = book
        self._known: Final[dict[ResponseId, Answer]] = {answer.response_id: answer for answer in known}
        self._around = around
        self._taken: Final[dict[ResponseId, Answer]] = {}
        self._untouched: Final = set(around.untouched)
        self._resting_on: Final = {case_id: set(answers) for case_id, answers in around.resting_on.items()}

    @property
    def taken(self) -> Sequence[Answer]:
        """The answers that are to be stored: each at its latest revision, with its case."""
        return list(self._taken.values())

    def take(self, answer: Answer) -> None:
        """One answer, or a further revision of one."""
        known = self._known.get(answer.response_id)
        if known is not None and answer.revision <= known.revision:
            return
        forgotten = self._forgotten(answer)
        if forgotten:
            answer = answer.without_comment()
        case = None if known is None else self._book.case(known.case_id)
        if known is None or case is None:
            self._keep(self._place(answer, may_open=not forgotten))
        elif case.status is Status.CLOSED and answer.is_detractor and not known.is_detractor and not forgotten:
            self._keep(self._place(answer, may_open=True))
        elif known.is_detractor and not answer.is_detractor and self._may_be_taken_back(case, answer):
            self._keep(
                answer.of_case(
                    self._book.put(
                        replies.take_back(case, answer, self._policy(case), self._around.staff, self._cause(answer))
                    ).id
                )
            )
        else:
            if case.status is not Status.CLOSED:
                case = self._in_earnest(case, answer)
            self._keep(self._revise(answer, case))

    def take_waiting(self, answer: Answer) -> None:
        """An answer that waited for somebody who can own its case."""
        self._keep(self._place(answer, may_open=True))

    def _keep(self, answer: Answer) -> None:
        known = self._known.get(answer.response_id)
        if known is not None and known.case_id is not None:
            self._resting_on.get(known.case_id, set()).discard(answer.response_id)
        if answer.case_id is not None and answer.is_detractor:
            self._resting_on.setdefault(answer.case_id, set()).add(answer.response_id)
        self._known[answer.response_id] = answer
        self._taken[answer.response_id] = answer

    def _forgotten(self, answer: Answer) -> bool:
        """Whether the customer asked to be forgotten after giving this answer: nobody may call about it any more."""
        erased_at = None if answer.customer_id is None else self._around.erased_at.get(answer.customer_id)
        return erased_at is not None and answer.answered_at <= erased_at

    def _may_be_taken_back(self, case: Case, answer: Answer) -> bool:
        if case.id not in self._untouched or case.status is not Status.OPEN:
            return False
        return self._resting_on.get(case.id, set()) <= {answer.response_id}

    def _revise(self, answer: Answer, case: Case) -> Answer:
        policy, staff = self._policy(case), self._around.staff
        # A revision may name the customer of an anonymous case, who may have an open case already: then both stay.
        if case.customer_id is None and self._book.open_case_of(answer.customer_id) is not None:
            decision = replies.revise(case, replace(answer, customer_id=None), policy, staff, self._cause(answer))
        else:
            decision = replies.revise(case, answer, policy, staff, self._cause(answer))
        return answer.of_case(self._book.put(decision).id)

    def _place(self, answer: Answer, *, may_open: bool) -> Answer:
        open_case = self._book.open_case_of(answer.customer_id)
        if open_case is not None:
            open_case = self._in_earnest(open_case, answer)
            joined = replies.join(open_case, answer, self._policy(open_case), self._around.staff, self._cause(answer))
            return answer.of_case(self._book.put(joined).id)
        light = not answer.is_detractor and self._around.outreach.decide(answer) == "case"
        if not may_open or not (answer.is_detractor or light) or answer.score is None:
            return answer
        kind: CaseKind = "light" if light else "full"
        policy = self._around.policies.of(answer.program, answer.tier, kind)
        own = self._book.case(case_id_of(answer.response_id, answer.cause_id))
        if own is not None:
            decision = replies.open_again(own, answer, self._policy(own), self._around.staff, self._cause(answer))
            return answer.of_case(self._book.put(decision).id)
        previous = None if answer.customer_id is None else self._around.previous_owners.get(answer.customer_id)
        try:
            choice = self._around.desk.choose(answer.tier, previous, _demand(answer))
        except NobodyToAssign:
            return answer.waiting()
        opened = replies.open_case(
            answer, answer.score, choice, policy, self._around.staff, self._cause(answer), kind=kind
        )
        case = self._book.put(opened)
        self._untouched.add(case.id)
        return answer.of_case(case.id)

    def _in_earnest(self, case: Case, answer: Answer) -> Case:
        """The open case that a further answer comes to: a detractor's makes a light one an ordinary one."""
        if case.kind == "full" or not answer.is_detractor:
            return case
        policy = self._around.policies.of(case.program, case.tier)
        return replies.in_earnest(case, answer, policy, self._around.now)

    @property
    def to_thank(self) -> Sequence[Answer]:
        """Of the answers that were taken, those whose customers are to be thanked for them, as it stands now."""
        decide = self._around.outreach.decide
        return [
            answer
            for answer in self._taken.values()
            if answer.case_id is None
            and not answer.is_detractor
            and not self._forgotten(answer)
            and decide(answer) == "thanks"
        ]

    def _policy(self, case: Case) -> Policy:
        return self._around.policies.of(case.program, case.tier, case.kind)

    def _cause(self, answer: Answer) -> Cause:
        actor = Actor("customer", answer.customer_id or answer.response_id)
        return Cause(answer.cause_id, self._around.now, actor, answer.traceparent)


def _demand(answer: Answer) -> Demand:
    return Demand(answer.program, answer.touchpoint, answer.themes, answer.language)
