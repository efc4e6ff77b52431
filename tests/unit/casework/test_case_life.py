"""A random life of many cases: whatever people, customers and clocks do, no illegal state is reached."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace as dataclass_replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from libs.events.contracts.cases import CaseClockBreached, CaseClosed, CaseDeescalated, CaseEscalated, CaseOpened
from libs.events.event import EventId, derived_id
from services.casework.domain import commands, levels, replies, signals, waiting
from services.casework.domain.agents import Agent, Staff
from services.casework.domain.alarms import fire
from services.casework.domain.answers import Answer
from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.casebook import Casebook, Intake, Surroundings
from services.casework.domain.cases import Case, Decision, Status
from services.casework.domain.errors import Refused
from services.casework.domain.names import CaseId, CustomerId, ResponseId, RootCauseId, Signal
from services.casework.domain.policies import DEFAULT_POLICIES, Policies, Policy
from services.casework.domain.recomputing import Recomputation, recompute
from services.casework.domain.replies import Confirmation
from services.casework.domain.routing import Desk
from services.casework.domain.timeline import Actor, Cause, Step

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
ARROWS = {
    ("open", "contacted"),
    ("contacted", "resolved"),
    ("resolved", "closed"),
    ("resolved", "open"),
    ("closed", "open"),
}
BY_ERASURE = {("open", "closed"), ("contacted", "closed")}

customers = st.sampled_from([None, "c-1", "c-2"])
scores = st.one_of(st.none(), st.integers(0, 10))
spans = st.sampled_from(
    [
        timedelta(0),
        timedelta(minutes=1),
        timedelta(hours=11),
        timedelta(hours=47, minutes=30),
        timedelta(days=2),
        timedelta(days=8),
    ]
)


sayings = st.fixed_dictionaries(
    {
        "tier": st.sampled_from(["standard", "key"]),
        "touchpoint": st.sampled_from(["branch", "call_centre", None]),
        "urgent": st.sampled_from([(), ("leaving",)]),
    }
)


# Two warnings, and a week of five days for the people; the customer's time is all time.
NINE_TO_SIX = (Shift(9 * 60, 18 * 60),)
OFFICE = Calendar(
    id=CalendarId("office"),
    zone=ZoneInfo("Europe/Moscow"),
    week=(NINE_TO_SIX, NINE_TO_SIX, NINE_TO_SIX, NINE_TO_SIX, NINE_TO_SIX, (), ()),
)
POLICIES = (
    DEFAULT_POLICIES["standard"],
    dataclass_replace(DEFAULT_POLICIES["standard"], warnings=(0.5, 0.9), longest_wait=timedelta(days=3)),
    dataclass_replace(
        DEFAULT_POLICIES["standard"],
        calendar=OFFICE,
        first_contact=timedelta(hours=16),
        resolution=timedelta(hours=40),
        management=timedelta(hours=4),
        executive=timedelta(hours=8),
    ),
)


class CaseLife(RuleBasedStateMachine):
    an_answer: Callable[..., Answer]
    staff: Staff

    @initialize(policy=st.sampled_from(POLICIES))
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.now = MONDAY
        self.book = Casebook()
        self.known: dict[ResponseId, Answer] = {}
        self.erased_at: dict[CustomerId, datetime] = {}
        self.commands = 0
        self.steps_seen = 0
        self.versions: Counter[CaseId] = Counter()
        self.last: dict[CaseId, Case] = {}
        self.returned: Counter[CaseId] = Counter()
        self.breaches: set[object] = set()
        self.event_ids: set[EventId] = set()

    def cause(self, who: str = "anna") -> Cause:
        self.commands += 1
        return Cause(uuid5(NAMESPACE_URL, str(self.commands)), self.now, Actor("person", who))

    def act(self, place: int, decide: Callable[[Case], Decision], who: str = "anna") -> None:
        """One command on some case, which may be refused; then its clocks are looked at."""
        cases = self.book.cases
        case = cases[place % len(cases)]
        try:
            decision = decide(levels.answered(case, Actor("person", who), self.staff))
        except Refused:
            return
        if not decision.steps:
            decision = Decision(case)
        self.check(case, decision)
        self.book.put(decision)

    def check(self, before: Case, decision: Decision) -> None:
        arrow = (before.status.value, decision.case.status.value)
        erased = any(step.entry.kind == "customer_erased" for step in decision.steps)
        assert arrow[0] == arrow[1] or arrow in ARROWS or (erased and arrow in BY_ERASURE)

    @rule(number=st.integers(1, 6), customer=customers, score=scores, late=spans, said=sayings)
    def somebody_answers(
        self, number: int, customer: str | None, score: int | None, late: timedelta, said: dict[str, object]
    ) -> None:
        # The number belongs to a customer for ever, as a response does.
        known = self.known.get(ResponseId(f"r-{number}"))
        answer = self.an_answer(
            f"r-{number}",
            revision=1 if known is None else known.revision + 1,
            customer_id=customer if known is None else known.customer_id,
            score=score,
            answered_at=self.now - late,
            **said,
        )
        around = Surroundings(
            now=self.now,
            staff=self.staff,
            desk=Desk(self.staff, self.now),
            policies=Policies(dict.fromkeys(DEFAULT_POLICIES, self.policy)),
            previous_owners={},
            erased_at=self.erased_at,
        )
        intake = Intake(self.book, self.known.values(), around)
        intake.take(answer)
        intake.take(answer)
        self.known |= {taken.response_id: taken for taken in intake.taken}
        for taken in intake.taken:
            case = self.book.case(taken.case_id)
            forgotten = taken.customer_id in self.erased_at and taken.answered_at <= self.erased_at[taken.customer_id]
            fresh = known is None or not known.is_detractor
            if taken.is_detractor and fresh and not forgotten:
                assert case is not None
                assert case.status is not Status.CLOSED
            if known is None and case is not None:
                assert case.status is not Status.CLOSED

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        self.now += span
        for case in self.book.cases:
            decision = fire(case, self.policy, self.staff, self.now)
            assert bool(decision.steps) == (case.fires_at is not None and case.fires_at <= self.now)
            self.check(case, decision) if len(decision.steps) == 1 else None
            self.book.put(decision)
            assert fire(decision.case, self.policy, self.staff, self.now).steps == ()

    @precondition(lambda self: self.book.cases)
    @rule(
        place=st.integers(0, 9),
        outcome=st.sampled_from(["reached", "declined", "no_answer", "call_later"]),
        who=st.sampled_from(["anna", "boris", "vera"]),
    )
    def somebody_calls(self, place: int, outcome: str, who: str) -> None:
        def decide(case: Case) -> Decision:
            return commands.record_contact(case, outcome, self.policy, self.cause(who), attempt_id="a")  # type: ignore[arg-type]  # one of the outcomes

        self.act(place, decide, who)

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), span=spans)
    def somebody_waits_for_the_customer(self, place: int, span: timedelta) -> None:
        def decide(case: Case) -> Decision:
            decision = waiting.wait(case, "customer_decision", self.now + span, self.policy, self.cause())
            assert case.first_contacted_at is not None
            latest = self.now + self.policy.longest_wait - waiting.waited(case)
            assert decision.case.waiting is not None
            assert decision.case.waiting.until <= latest
            return decision

        self.act(place, decide)

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9))
    def somebody_goes_on(self, place: int) -> None:
        self.act(place, lambda case: waiting.resume(case, self.policy, self.cause()))

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9))
    def somebody_resolves(self, place: int) -> None:
        self.act(
            place, lambda case: commands.resolve(case, RootCauseId("service"), self.policy, self.staff, self.cause())
        )

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9))
    def somebody_reopens(self, place: int) -> None:
        def decide(case: Case) -> Decision:
            other = self.book.open_case_of(case.customer_id)
            if other is not None and other.id != case.id:
                return Decision(case)
            return commands.reopen(case, "by_hand", self.policy, self.staff, self.cause(), since=self.now)

        self.act(place, decide)

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9))
    def somebody_escalates(self, place: int) -> None:
        self.act(place, lambda case: commands.escalate(case, "no_authority", self.policy, self.staff, self.cause()))

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), who=st.sampled_from(["boris", "vera"]))
    def somebody_gives_it_back(self, place: int, who: str) -> None:
        self.act(
            place,
            lambda case: commands.de_escalate(case, "authority_given", self.policy, self.staff, self.cause(who)),
            who,
        )

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), attempts=st.integers(1, 5))
    def nobody_is_reached(self, place: int, attempts: int) -> None:
        def decide(case: Case) -> Decision:
            cause = self.cause()
            tried = commands.record_contact(case, "no_answer", self.policy, cause, attempt_id="a")
            after = tried.then(lambda case: signals.not_reached(case, attempts, self.policy, self.staff, cause))
            assert (
                attempts < self.policy.unanswered_attempts or not case.is_running or "no_answer" in after.case.signals
            )
            return after

        self.act(place, decide)

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), owner=st.sampled_from(["anna", "boris", "vera"]))
    def somebody_assigns(self, place: int, owner: str) -> None:
        agent: Agent = next(agent for agent in self.staff.agents.values() if agent.id == owner)
        self.act(place, lambda case: commands.assign(case, agent, self.cause()))

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), solved=st.booleans(), behind=st.integers(0, 1), ago=spans)
    def the_customer_says(self, place: int, solved: bool, behind: int, ago: timedelta) -> None:  # noqa: FBT001 - drawn
        def decide(case: Case) -> Decision:
            other = self.book.open_case_of(case.customer_id)
            word = Confirmation(case.round - behind, solved, None, self.now - ago)
            return replies.confirm(
                case,
                word,
                self.policy,
                self.staff,
                self.cause(),
                other_open_case=None if other is None or other.id == case.id else other,
            )

        self.act(place, decide)

    @precondition(lambda self: self.book.cases)
    @rule(place=st.integers(0, 9), policy=st.sampled_from(POLICIES))
    def the_clocks_are_counted_anew_by_another_policy(self, place: int, policy: Policy) -> None:
        self.commands += 1
        asked = Recomputation(
            id=uuid5(NAMESPACE_URL, f"asked/{self.commands}"),
            program=None,
            tier=None,
            level=None,
            calendar_id=None,
            dry_run=False,
            actor=Actor("person", "boris"),
        )
        case = self.book.cases[place % len(self.book.cases)]
        decision = recompute(case, policy, self.staff, asked, self.now)
        self.check(case, decision)
        self.book.put(decision)
        assert recompute(decision.case, policy, self.staff, asked, self.now).steps == ()

    @rule(customer=st.sampled_from(["c-1", "c-2"]))
    def the_customer_asks_to_be_forgotten(self, customer: str) -> None:
        self.erased_at[CustomerId(customer)] = self.now
        for place, case in enumerate(self.book.cases):
            if case.customer_id == customer:
                self.act(place, lambda case: replies.forget(case, self.cause()))

    @invariant()
    def a_customer_has_one_open_case(self) -> None:
        running = Counter(
            case.customer_id for case in self.book.cases if case.customer_id and case.status is not Status.CLOSED
        )
        assert all(count == 1 for count in running.values())

    @invariant()
    def every_case_has_an_owner(self) -> None:
        assert all(case.owner_id in self.staff.agents for case in self.book.cases)

    @invariant()
    def closed_cases_are_silent_and_others_have_a_due_time(self) -> None:
        for case in self.book.cases:
            closed = case.status is Status.CLOSED
            assert closed == (case.outcome is not None) == (case.closed_at is not None) == (case.next_due_at is None)
            assert not (closed and case.fires_at is not None)
            assert (case.status is Status.RESOLVED) == (case.confirm_by is not None)

    @invariant()
    def only_a_contacted_case_waits_and_only_a_running_one_is_asked_of_its_level(self) -> None:
        for case in self.book.cases:
            assert case.waiting is None or case.status is Status.CONTACTED
            assert case.escalation is None or (case.is_running and case.level != "frontline")
            assert (case.escalation is None) == (case.escalated_at is None)
            # Asked and silent is not possible: the clock speaks again and again until somebody acts.
            assert case.escalation is None or case.escalation.fires_at is not None
            spans = [*case.pauses, *([] if case.waiting is None else [(case.waiting.since, case.waiting.until)])]
            assert all(since <= until for since, until in spans)
            assert waiting.waited(case) <= self.policy.longest_wait

    @invariant()
    def versions_count_up_by_one_per_line_and_events_carry_theirs(self) -> None:
        for step in self.book.steps[self.steps_seen :]:
            self.versions[step.entry.case_id] += 1
            assert step.entry.version == self.versions[step.entry.case_id]
            if step.payload is not None:
                assert getattr(step.payload, "version", None) == step.entry.version
                event_id = derived_id(step.cause.id, step.payload.TYPE)
                assert event_id not in self.event_ids
                self.event_ids.add(event_id)
            if isinstance(step.payload, CaseClockBreached):
                # One breach per clock and instant, ever; and it is over by then.
                assert step.cause.id not in self.breaches
                assert step.payload.due_at <= step.entry.at
                self.breaches.add(step.cause.id)
            if isinstance(step.payload, CaseOpened):
                assert step.entry.version == 1
        self.steps_seen = len(self.book.steps)
        assert all(case.version == self.versions[case.id] for case in self.book.cases)

    @invariant()
    def levels_rise_until_given_back_and_one_escalation_has_one_cause(self) -> None:
        told = [step for step in self.book.steps if isinstance(step.payload, CaseEscalated)]
        assert len({step.cause.id for step in told}) == len(told)
        ends = [step for step in self.book.steps if isinstance(step.payload, CaseClosed)]
        assert len({(step.cause.id, step.entry.case_id) for step in ends}) == len(ends)
        signs = Counter((step.entry.case_id, step.entry.details["reason"]) for step in told if _is_sign(step))
        signs += Counter(
            (step.entry.case_id, step.entry.details["reason"])
            for step in self.book.steps
            if step.entry.kind == "signalled"
        )
        assert all(count == 1 for count in signs.values()), "each sign counts once in the life of a case"
        assert set(signs) == {(case.id, sign) for case in self.book.cases for sign in case.signals}
        levels = ["frontline", "management", "executive"]
        returned = Counter(step.entry.case_id for step in self.book.steps if isinstance(step.payload, CaseDeescalated))
        for case in self.book.cases:
            before = self.last.get(case.id)
            given_back = returned[case.id] > self.returned[case.id]
            assert given_back or before is None or levels.index(before.level) <= levels.index(case.level)
            assert before is None or before.round <= case.round
            self.last[case.id] = case
        self.returned = returned


def _is_sign(step: Step) -> bool:
    return step.entry.details["reason"] in get_args(Signal)


def test_no_life_of_a_case_leaves_the_picture(an_answer: Callable[..., Answer], staff: Staff) -> None:
    def begin() -> CaseLife:
        machine = CaseLife()
        machine.an_answer = an_answer
        machine.staff = staff
        return machine

    run_state_machine_as_test(
        begin,  # type: ignore[arg-type]  # anything that makes a machine will do
        settings=settings(
            max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
