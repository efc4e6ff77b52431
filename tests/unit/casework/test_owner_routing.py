"""Who gets a case, and who answers for it above."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.casework.domain.agents import Agent, Staff
from services.casework.domain.errors import NobodyToAssign
from services.casework.domain.names import AgentId, Tier
from services.casework.domain.routing import Desk, responsible_at

AnAgent = Callable[..., Agent]

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)

agents_strategy = st.lists(
    st.builds(
        Agent,
        id=st.uuids().map(lambda id_: AgentId(str(id_))),
        name=st.just("Anna"),
        email=st.just("anna@example.org"),
        language=st.just("ru"),
        role=st.sampled_from(["agent", "agent", "manager", "executive"]),
        seniority=st.integers(1, 3),
        capacity=st.integers(0, 5),
        absent_until=st.sampled_from([None, None, MONDAY + HOUR]),
        disabled=st.booleans(),
        running_cases=st.integers(0, 6),
    ),
    max_size=8,
)
tiers: st.SearchStrategy[Tier] = st.sampled_from(["key", "high", "standard", "low"])


def chosen(tier: Tier, *agents: Agent, previous: str | None = None) -> tuple[str, str]:
    previous_owner = None if previous is None else AgentId(previous)
    choice = Desk(Staff.of(agents), MONDAY).choose(tier, previous_owner)
    return choice.agent.id, choice.reason


def test_a_key_customer_goes_to_the_most_senior_even_if_others_are_idle(an_agent: AnAgent) -> None:
    anna = an_agent("anna", seniority=3, running_cases=9)
    assert chosen("key", anna, an_agent("boris", seniority=2)) == ("anna", "most_senior")


def test_of_equally_senior_agents_the_less_loaded_gets_the_key_customer(an_agent: AnAgent) -> None:
    anna = an_agent("anna", seniority=3, running_cases=2)
    assert chosen("key", anna, an_agent("boris", seniority=3)) == ("boris", "most_senior")


def test_a_high_tier_customer_goes_to_somebody_experienced(an_agent: AnAgent) -> None:
    new = an_agent("anna")
    assert chosen("high", new, an_agent("boris", seniority=2, running_cases=5)) == ("boris", "experienced")
    assert chosen("high", new) == ("anna", "least_loaded")


def test_others_go_to_who_has_the_most_room_and_then_to_the_less_senior(an_agent: AnAgent) -> None:
    half_time = an_agent("anna", capacity=4, running_cases=2)
    assert chosen("standard", half_time, an_agent("boris", running_cases=3)) == ("boris", "least_loaded")
    assert chosen("low", an_agent("anna", seniority=3), an_agent("boris")) == ("boris", "least_loaded")
    assert chosen("low", an_agent("boris"), an_agent("anna")) == ("anna", "least_loaded")


def test_the_customers_previous_owner_comes_first(an_agent: AnAgent) -> None:
    anna = an_agent("anna", running_cases=10)
    boris = an_agent("boris", seniority=3)
    assert chosen("key", anna, boris, previous="anna") == ("anna", "previous_owner")


@pytest.mark.parametrize(
    "gone",
    [
        {"disabled": True},
        {"absent_from": MONDAY - HOUR},
        {"absent_until": MONDAY + HOUR},
        {"absent_from": MONDAY - HOUR, "absent_until": MONDAY + HOUR},
        {"role": "manager"},
    ],
)
def test_a_previous_owner_who_is_gone_does_not_get_the_case(an_agent: AnAgent, gone: dict[str, object]) -> None:
    assert chosen("low", an_agent("anna", **gone), an_agent("boris"), previous="anna") == ("boris", "least_loaded")


@pytest.mark.parametrize(
    "back",
    [
        {"absent_from": MONDAY + HOUR},
        {"absent_until": MONDAY},
        {"absent_from": MONDAY + HOUR, "absent_until": MONDAY + 2 * HOUR},
    ],
)
def test_who_is_back_or_still_here_gets_cases(an_agent: AnAgent, back: dict[str, object]) -> None:
    assert chosen("low", an_agent("anna", **back)) == ("anna", "least_loaded")


def test_when_everyone_is_full_the_overload_is_shared(an_agent: AnAgent) -> None:
    anna = an_agent("anna", capacity=2, running_cases=4)
    boris = an_agent("boris", capacity=10, running_cases=11)
    manager = an_agent("vera", role="manager")
    assert chosen("standard", anna, boris, manager) == ("boris", "everyone_full")


def test_without_agents_the_team_lead_then_a_manager_then_an_executive_steps_in(an_agent: AnAgent) -> None:
    away = an_agent("anna", team_lead_id=AgentId("boris"), absent_until=MONDAY + HOUR)
    lead = an_agent("boris", role="manager", running_cases=5)
    manager = an_agent("galina", role="manager")
    executive = an_agent("vera", role="executive")
    assert chosen("low", away, lead, manager, executive) == ("boris", "team_lead")
    assert chosen("low", away, manager, executive) == ("galina", "manager")
    assert chosen("low", away, executive) == ("vera", "executive")


def test_even_when_everybody_is_absent_somebody_owns_the_case(an_agent: AnAgent) -> None:
    away = {"absent_until": MONDAY + HOUR}
    manager = an_agent("boris", role="manager", **away)
    assert chosen("key", an_agent("anna", **away), manager) == ("boris", "everyone_absent")
    assert chosen("key", an_agent("anna", **away), an_agent("boris", role="manager", disabled=True)) == (
        "anna",
        "everyone_absent",
    )


def test_only_without_anybody_enabled_nobody_can_own_it(an_agent: AnAgent) -> None:
    with pytest.raises(NobodyToAssign):
        chosen("key", an_agent("anna", disabled=True))


def test_the_choice_explains_itself_with_numbers(an_agent: AnAgent) -> None:
    choice = Desk(Staff.of([an_agent("anna", seniority=2, running_cases=3)]), MONDAY).choose("key")
    assert choice.details == {"seniority": 2, "load": 3, "capacity": 10}


def test_a_flood_of_cases_is_spread_by_capacity(an_agent: AnAgent) -> None:
    desk = Desk(Staff.of([an_agent("anna", capacity=10), an_agent("boris", capacity=30)]), MONDAY)
    shares = Counter(desk.choose("standard").agent.id for _ in range(40))
    assert shares == {"anna": 10, "boris": 30}


@given(agents_strategy, st.lists(tiers, min_size=1, max_size=20))
def test_the_queues_choose_what_looking_at_everybody_would(agents: list[Agent], wanted: list[Tier]) -> None:
    """Handing out a batch is handing out each case anew on the loads left by those before."""
    desk = Desk(Staff.of(agents), MONDAY)
    loads = {agent.id: agent.running_cases for agent in agents}
    for tier in wanted:
        now = [_with_load(agent, loads[agent.id]) for agent in agents]
        try:
            fresh = Desk(Staff.of(now), MONDAY).choose(tier)
        except NobodyToAssign:
            assert all(agent.disabled for agent in agents)
            return
        choice = desk.choose(tier)
        assert (choice.agent.id, choice.reason, choice.details) == (fresh.agent.id, fresh.reason, fresh.details)
        assert not choice.agent.disabled
        if choice.agent.is_absent(MONDAY):
            assert all(agent.disabled or agent.is_absent(MONDAY) for agent in agents)
        loads[choice.agent.id] += 1


@given(agents_strategy, tiers, st.randoms())
def test_the_order_in_which_agents_are_listed_decides_nothing(agents: list[Agent], tier: Tier, random: object) -> None:
    shuffled = agents.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    if all(agent.disabled for agent in agents):
        return
    assert Desk(Staff.of(agents), MONDAY).choose(tier) == Desk(Staff.of(shuffled), MONDAY).choose(tier)


def test_management_is_the_owners_department_then_the_team_then_anybody(an_agent: AnAgent) -> None:
    owner = an_agent("anna", department_manager_id=AgentId("boris"), team_lead_id=AgentId("galina"))
    boris = an_agent("boris", role="manager")
    galina = an_agent("galina", role="manager")
    zoya = an_agent("zoya", role="manager", seniority=3)
    away = an_agent("boris", role="manager", absent_until=MONDAY + HOUR)

    def manager(*agents: Agent) -> str | None:
        found = responsible_at("management", owner, Staff.of([owner, *agents]), MONDAY)
        return None if found is None else found.id

    assert manager(boris, galina, zoya) == "boris"
    assert manager(away, galina, zoya) == "galina"
    assert manager(zoya) == "zoya"
    assert manager(away) == "boris"
    assert manager() is None


def test_executives_answer_by_seniority_and_the_frontline_needs_nobody(an_agent: AnAgent) -> None:
    owner = an_agent("anna")
    executives = [an_agent("vera", role="executive"), an_agent("zoya", role="executive", seniority=3)]
    staff = Staff.of([owner, *executives])
    found = responsible_at("executive", owner, staff, MONDAY)
    assert found is not None
    assert found.id == "zoya"
    assert responsible_at("frontline", owner, staff, MONDAY) is None


def _with_load(agent: Agent, load: int) -> Agent:
    return Agent(
        id=agent.id,
        name=agent.name,
        email=agent.email,
        language=agent.language,
        role=agent.role,
        seniority=agent.seniority,
        capacity=agent.capacity,
        absent_until=agent.absent_until,
        disabled=agent.disabled,
        running_cases=load,
    )
