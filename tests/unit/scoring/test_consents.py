"""Whether a customer may be written to, by everything that was said."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.consents import Choice, Choices, Said, chosen, refused

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TIMES = st.none() | st.integers(-5, 5).map(lambda hours: NOON + timedelta(hours=hours))
A_WEEK = [NOON + timedelta(days=day) for day in range(7)]


def test_a_profile_that_consents_is_believed_while_nobody_unsubscribed() -> None:
    assert Said().allows(profile_consents=True)
    assert not Said().allows(profile_consents=False)


def test_a_yes_without_a_time_does_not_outweigh_an_unsubscription() -> None:
    assert not Said().with_unsubscription(NOON).allows(profile_consents=True)


@given(unsubscribed=TIMES, consented=TIMES)
def test_only_a_later_consent_does(unsubscribed: datetime | None, consented: datetime | None) -> None:
    said = Said().with_consent(consented).with_unsubscription(unsubscribed)
    later = unsubscribed is None or (consented is not None and consented > unsubscribed)
    assert said.allows(profile_consents=True) == later
    assert not said.allows(profile_consents=False)


@given(st.lists(st.tuples(st.booleans(), TIMES), max_size=8))
def test_the_order_in_which_it_is_heard_does_not_matter(told: list[tuple[bool, datetime | None]]) -> None:
    def heard(some: list[tuple[bool, datetime | None]]) -> Said:
        said = Said()
        for consents, at in some:
            said = said.with_consent(at) if consents else said.with_unsubscription(at)
        return said

    assert heard(told) == heard(sorted(told, key=repr))


@given(st.lists(st.builds(Choice, st.booleans(), st.sampled_from(A_WEEK)), min_size=1, max_size=5), st.randoms())
def test_the_last_word_about_a_kind_of_mails_counts_in_whatever_order_it_comes(words: list[Choice], by: Random) -> None:
    shuffled = list(words)
    by.shuffle(shuffled)
    straight: Choices = {}
    crossed: Choices = {}
    for word, other in zip(words, shuffled, strict=True):
        straight, crossed = chosen(straight, "news", word), chosen(crossed, "news", other)
    assert straight == crossed
    latest = max(words, key=lambda word: (word.at, not word.granted))
    assert refused(straight, None) == (() if latest.granted else ("news",))
    assert refused(straight, latest.at + timedelta(seconds=1)) == ()
