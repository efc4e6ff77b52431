"""When to try next: always in the calling hours, on the customer's clock, never before its time, and explained."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
from hypothesis import given, settings

from services.casework.domain.calendars import Calendar, CalendarId, Shift
from services.casework.domain.contacting import Attempt, ContactRules, NoWay, Suggestion, part_of, suggest
from services.casework.domain.names import ContactChannel, ContactOutcome

NOW = datetime(2026, 3, 28, 7, 12, tzinfo=UTC)
"""The day before clocks go forward in much of Europe."""
WORKDAY = (Shift(9 * 60, 20 * 60),)
SATURDAY = (Shift(10 * 60, 17 * 60),)
RULES = ContactRules(
    hours=Calendar(
        id=CalendarId("calling"),
        zone=ZoneInfo("Europe/Moscow"),
        week=(WORKDAY, WORKDAY, WORKDAY, WORKDAY, WORKDAY, SATURDAY, ()),
    ),
    early=timedelta(minutes=30),
    grace=timedelta(minutes=15),
    climbs_after=timedelta(hours=2),
    pause=timedelta(hours=3),
)
OUTCOMES: list[ContactOutcome] = ["no_answer", "busy", "voicemail", "third_person", "call_later", "message_sent"]
CHANNELS: list[ContactChannel] = ["phone", "email"]

attempts = st.lists(
    st.builds(
        Attempt,
        st.integers(0, 60 * 96).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        st.sampled_from(CHANNELS),
        st.sampled_from([*OUTCOMES, "wrong_number"]),
    ),
    max_size=8,
).map(lambda found: sorted(found, key=lambda each: each.at))


@settings(max_examples=60, deadline=None)
@given(
    tried=attempts,
    zone=st.sampled_from(["Europe/Berlin", "Asia/Kamchatka", "America/New_York", "Asia/Kolkata", None, "Mars/Base"]),
    due=st.integers(-24, 96),
    ways=st.sets(st.sampled_from(CHANNELS)),
)
def test_nobody_is_called_outside_of_their_hours_or_by_a_way_that_does_not_exist(
    tried: list[Attempt], zone: str | None, due: int, ways: set[ContactChannel]
) -> None:
    due_at = NOW + timedelta(hours=due)
    found = suggest(tried, now=NOW, due_at=due_at, rules=RULES, zone=zone, reachable_by=ways)
    codes = [reason.code for reason in found.reasons]
    wrong = any(each.outcome == "wrong_number" and each.channel == "phone" for each in tried)
    if isinstance(found, NoWay):
        assert "email" not in ways
        assert wrong or "phone" not in ways
        return
    hours, assumed = RULES.hours_of(zone)
    assert found.at >= NOW
    assert hours.between(found.at, found.at + timedelta(minutes=30)) == timedelta(minutes=30)
    assert found.channel in ways
    assert not (wrong and found.channel == "phone")
    assert ("zone_assumed" in codes) == assumed == (zone in {None, "Mars/Base"})
    assert ("after_due" in codes) == (found.at > due_at)
    assert "calling_hours" in codes
    # The same question has the same answer.
    assert found == suggest(tried, now=NOW, due_at=due_at, rules=RULES, zone=zone, reachable_by=ways)


def test_after_failures_at_one_time_of_day_another_is_tried() -> None:
    def at(day: int, hour: int) -> Attempt:
        return Attempt(datetime(2026, 3, day, hour, 30, tzinfo=ZoneInfo("Europe/Berlin")), "phone", "no_answer")

    tried = [at(23, 9), at(24, 9)]
    now = datetime(2026, 3, 24, 9, tzinfo=UTC)
    found = suggest(
        tried,
        now=now,
        due_at=now + timedelta(days=2),
        rules=RULES,
        zone="Europe/Berlin",
        reachable_by={"phone", "email"},
    )
    assert isinstance(found, Suggestion)
    assert part_of(found.at.astimezone(ZoneInfo("Europe/Berlin"))) != "morning"
    assert [reason.code for reason in found.reasons][:2] == ["left_in_peace", "another_part_of_day"]
    # Three calls that nobody answered are enough: then a letter, by which the customer answers when it suits them.
    written = suggest(
        [*tried, at(25, 15)],
        now=now + timedelta(days=2),
        due_at=now + timedelta(days=2),
        rules=RULES,
        zone="Europe/Berlin",
        reachable_by={"phone", "email"},
    )
    assert isinstance(written, Suggestion)
    assert (written.channel, written.reasons[0].code) == ("email", "calls_unanswered")
