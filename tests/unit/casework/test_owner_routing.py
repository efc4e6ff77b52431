"""Who gets a case, and who answers for it above."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.casework.domain.agents import Agent, Handles, Staff
from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.errors import NobodyToAssign
from services.casework.domain.names import AgentId, Tier
from services.casework.domain.routing import Demand, Desk, responsible_at

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


def asked_for(demand: Demand, *agents: Agent, tier: Tier = "low", at: datetime = MONDAY) -> tuple[str, str, set[str]]:
    choice = Desk(Staff.of(agents), at, CALENDARS).choose(tier, demand=demand)
    return choice.agent.id, choice.reason, set(choice.details) - {"seniority", "load", "capacity"}


OFFICE: list[tuple[Shift, ...]] = [(Shift(9 * 60, 18 * 60),)] * 5 + [(), ()]
CALENDARS = {
    CalendarId(zone): Calendar(
        id=CalendarId(zone),
        zone=ZoneInfo(zone),
        week=(OFFICE[0], OFFICE[1], OFFICE[2], OFFICE[3], OFFICE[4], OFFICE[5], OFFICE[6]),
    )
    for zone in ("Europe/Moscow", "Asia/Vladivostok")
}
CLAIMS = Handles(themes=frozenset({"claims"}))


def test_who_speaks_the_customers_language_comes_before_who_has_more_room(an_agent: AnAgent) -> None:
    anna, boris = an_agent("anna"), an_agent("boris", languages=frozenset({"de"}), running_cases=9)
    assert asked_for(Demand(language="de-AT"), anna, boris) == ("boris", "least_loaded", {"language"})
    assert asked_for(Demand(language="ru"), anna, boris) == ("anna", "least_loaded", set())
    assert asked_for(Demand(language="fr"), anna, boris) == ("anna", "least_loaded", {"other_language"})


def test_who_handles_the_program_the_touchpoint_or_the_theme_gets_the_case(an_agent: AnAgent) -> None:
    anna = an_agent("anna", handles=Handles(programs=frozenset({"retail"})))
    boris = an_agent("boris", handles=CLAIMS, running_cases=5)
    assert asked_for(Demand("b2b", "app", ("price", "claims")), anna, boris) == ("boris", "least_loaded", {"skilled"})
    assert asked_for(Demand("retail", "app", ("price",)), anna, boris) == ("anna", "least_loaded", {"skilled"})


def test_what_a_person_handles_replaces_what_their_team_does_list_by_list() -> None:
    team = Handles(frozenset({"retail"}), frozenset({"branch"}))
    own = team.narrowed_by(Handles(touchpoints=frozenset({"app"})))
    assert own == Handles(frozenset({"retail"}), frozenset({"app"}))


def test_where_nobody_handles_such_cases_the_lead_of_those_who_would_steps_in_first(an_agent: AnAgent) -> None:
    here = an_agent("anna", team_lead_id=AgentId("galina"), handles=Handles(programs=frozenset({"retail"})))
    away = an_agent("boris", team_lead_id=AgentId("zoya"), handles=CLAIMS, absent_until=MONDAY + HOUR)
    galina, zoya = an_agent("galina", role="manager"), an_agent("zoya", role="manager", running_cases=7)
    claim = Demand("b2b", None, ("claims",))
    assert asked_for(claim, here, away, galina, zoya) == ("zoya", "team_lead", {"nobody_skilled"})
    assert asked_for(claim, here, away, galina) == ("galina", "team_lead", {"nobody_skilled"})
    assert asked_for(claim, here, away) == ("anna", "unskilled", {"nobody_skilled"})


def test_who_works_now_comes_before_who_works_in_another_time_zone(an_agent: AnAgent) -> None:
    moscow = an_agent("anna", calendar_id=CalendarId("Europe/Moscow"), running_cases=8)
    vladivostok = an_agent("boris", calendar_id=CalendarId("Asia/Vladivostok"), seniority=3)
    noon = MONDAY  # 12:00 in Moscow, 19:00 in Vladivostok
    assert asked_for(Demand(), moscow, vladivostok, at=noon) == ("anna", "least_loaded", set())
    assert asked_for(Demand(), vladivostok, at=noon) == ("boris", "least_loaded", {"off_hours"})


def test_a_key_customer_waits_for_the_most_senior_over_night_and_not_over_a_weekend(an_agent: AnAgent) -> None:
    senior = an_agent("anna", calendar_id=CalendarId("Europe/Moscow"), seniority=3)
    new = an_agent("boris")
    night, friday_night = MONDAY + 14 * HOUR, MONDAY + timedelta(days=4, hours=10)
    assert asked_for(Demand(), senior, new, tier="key", at=night) == ("anna", "most_senior", {"off_hours"})
    assert asked_for(Demand(), senior, new, tier="key", at=friday_night) == ("boris", "most_senior", set())


def test_during_any_of_their_planned_absences_they_get_nothing(an_agent: AnAgent) -> None:
    anna = an_agent("anna", absences=((MONDAY - 9 * HOUR, MONDAY - HOUR), (MONDAY, MONDAY + HOUR)))
    busy = an_agent("boris", running_cases=9)
    assert asked_for(Demand(), anna, busy, at=MONDAY)[0] == "boris"
    assert asked_for(Demand(), anna, busy, at=MONDAY - HOUR)[0] == "anna"
    assert asked_for(Demand(), anna, busy, at=MONDAY + HOUR)[0] == "anna"


handles_strategy = st.builds(
    Handles,
    programs=st.sets(st.sampled_from(["retail", "b2b"])).map(frozenset),
    themes=st.sets(st.sampled_from(["claims", "price"])).map(frozenset),
)
demands = st.builds(
    Demand,
    program=st.sampled_from(["retail", "b2b"]),
    themes=st.sampled_from([(), ("claims",), ("price", "claims")]),
    language=st.sampled_from([None, "ru", "de", "en-GB"]),
)
skilled_agents = st.lists(
    st.builds(
        Agent,
        id=st.uuids().map(lambda id_: AgentId(str(id_))),
        name=st.just("Anna"),
        email=st.just("anna@example.org"),
        language=st.just("ru"),
        role=st.sampled_from(["agent", "agent", "manager"]),
        seniority=st.integers(1, 3),
        capacity=st.integers(0, 5),
        absences=st.sampled_from([(), ((MONDAY, MONDAY + HOUR),)]),
        disabled=st.booleans(),
        languages=st.sampled_from([frozenset(), frozenset({"de"})]),
        handles=handles_strategy,
        calendar_id=st.sampled_from([None, *CALENDARS]),
    ),
    max_size=7,
)


@given(skilled_agents, st.lists(st.tuples(tiers, demands), min_size=1, max_size=12))
def test_somebody_enabled_always_owns_and_somebody_suitable_while_there_is_one(
    agents: list[Agent], wanted: list[tuple[Tier, Demand]]
) -> None:
    desk = Desk(Staff.of(agents), MONDAY, CALENDARS)
    for tier, demand in wanted:
        try:
            owner = desk.choose(tier, demand=demand).agent
        except NobodyToAssign:
            assert all(agent.disabled for agent in agents)
            return
        here = [agent for agent in agents if agent.role == "agent" and agent.is_available(MONDAY)]
        fit = [agent for agent in here if agent.handles.takes(demand.program, demand.touchpoint, demand.themes)]
        language = demand.language
        speaking = [agent for agent in fit if language is not None and agent.speaks(language[:2])]
        assert not owner.disabled
        assert owner in (speaking or fit or agents)
        if any(agent.is_available(MONDAY) and agent.role in ("agent", "manager") for agent in agents):
            assert owner.is_available(MONDAY)


@given(st.integers(1, 6), st.lists(tiers, max_size=30))
def test_the_loads_of_equal_agents_differ_by_one_at_most(number: int, wanted: list[Tier]) -> None:
    agents = [
        Agent(
            id=AgentId(str(each)),
            name="Anna",
            email="anna@example.org",
            language="ru",
            role="agent",
            seniority=2,
            capacity=4,
        )
        for each in range(number)
    ]
    desk = Desk(Staff.of(agents), MONDAY)
    loads = Counter({agent.id: 0 for agent in agents})
    loads.update(desk.choose(tier).agent.id for tier in wanted)
    assert max(loads.values()) - min(loads.values()) <= 1


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
