"""What a digest says in words: the same lines for mails, for chat and for the portal's page.

Every number stands with how many it rests on and how sure it is (adjusted Wald for NPS, Wilson for shares, Student for
means, all at 95 %).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from babel.dates import format_date

from libs.wording.touchpoints import touchpoint_said
from services.notify.digest_phrases import PHRASES, Phrases
from services.notify.domain.digests import LEADS, Content, Digest, Period, Quote
from services.notify.templating import plain_line
from services.notify.texts import LOCALES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from libs.events.contracts.customers import Language
    from services.notify.domain.digests import Health, Middle, NpsMoved, Owed, Portion, ScoreOnScale, ThemeTold
    from services.notify.domain.messages import Facts

Rows = tuple[tuple[str, str], ...]
"""Lines: what it is about, and what is said of it."""
SECTIONS: Final = ("scores", "quotes", "themes", "departments", "deeds", "loop", "thanked", "owed")
"""In their order."""
OWN_PARTS: Final = ("own_part_a", "own_part_b", "own_part_c", "own_part_d")
"""The reader's own teams and departments: a line each, for as many as a mail has room for."""
_MINUS: Final = "\N{MINUS SIGN}"
_LEAST_HOURS: Final = 10


def of_message(facts: Facts, language: Language) -> dict[str, Any]:
    """The values of a message: what all of a role are told, and what lies before this one."""
    digest = _digest(str(facts["digest"]))
    phrases = PHRASES[language]
    values: dict[str, Any] = {**_shared(str(facts["digest"]), language, is_lead=facts["role"] in LEADS)}
    values["own_work"] = None
    if facts["cases"] is not None:
        counts = ("cases", "cases_overdue", "tasks", "tasks_overdue")
        values["own_work"] = phrases.own_work(*(int(facts[name] or 0) for name in counts))
    led = set(str(facts["parts"] or "").split())
    parts = [each for each in digest.content.parts if each.id in led]
    shown = [f"{plain_line(each.name)}: {_part(each.health, phrases)}" for each in parts]
    if len(shown) > len(OWN_PARTS):
        shown = [*shown[: len(OWN_PARTS) - 1], phrases.more_parts(len(shown) - len(OWN_PARTS) + 1)]
    return values | dict.fromkeys(OWN_PARTS) | dict(zip(OWN_PARTS, shown, strict=False))


def in_short(facts: Facts, language: Language) -> str:
    """A few words for a chat: how things stand, and what lies before the reader."""
    values = of_message(facts, language)
    said = [values["headline"], *(f"{label}: {line}" for label, line in values["scores"][:1])]
    return ". ".join(each for each in (*said, values["own_work"]) if each)


def sections(digest: Digest, language: Language, *, is_lead: bool) -> dict[str, Rows]:
    """All that it says to those of a role, by section; what there is nothing of is empty."""
    phrases = PHRASES[language]
    content = digest.content
    return {
        "scores": (
            *((phrases.nps[each.survey], _nps(each, digest.period, phrases)) for each in content.nps),
            *((_scale(each, phrases), _mean(each, phrases)) for each in content.scores),
        ),
        "quotes": tuple((plain_line(each.said), _written(each, phrases)) for each in digest.quotes),
        "themes": tuple(
            (plain_line(each.name_ru if language == "ru" else each.name_en), _theme(each, phrases))
            for each in content.themes
        ),
        "departments": tuple(
            (plain_line(each.name), phrases.done(each.tasks_done, each.cases_closed))
            for each in content.departments
            if each.tasks_done or each.cases_closed
        ),
        "deeds": tuple(
            (plain_line(each.title), _joined(phrases.stages[each.stage], each.department, each.reason))
            for each in content.deeds
        ),
        "loop": _loop(content, phrases),
        "thanked": tuple(
            (plain_line(each.name), _joined(each.place, phrases.thanked(each.well, each.cases)))
            for each in content.thanked
        ),
        "owed": tuple((plain_line(each.title), _owed(each, language, phrases)) for each in content.owed if is_lead),
    }


def span(period: Period, language: Language) -> str:
    """The period as one says it ("16–22 November", "November 2026")."""
    last = period.ends.fromordinal(period.ends.toordinal() - 1)
    if period.kind == "monthly":
        said = format_date(period.starts, "LLLL y", locale=LOCALES[language])
        return said[:1].upper() + said[1:]
    if period.starts.month == last.month:
        return f"{period.starts.day}–{_day(last, language)}"
    return f"{_day(period.starts, language)} – {_day(last, language)}"


def encoded(digest: Digest) -> str:
    """A digest as it stands in the facts of a message that is being written."""
    return msgspec.json.encode(digest).decode()


@lru_cache(maxsize=8)
def _digest(document: str) -> Digest:
    return msgspec.json.decode(document, type=Digest)


# One sender writes the same to all of a role and language: it is put into words once.
@lru_cache(maxsize=32)
def _shared(document: str, language: Language, *, is_lead: bool) -> Mapping[str, Any]:
    digest = _digest(document)
    said = span(digest.period, language)
    headline = PHRASES[language].headline(digest.period.kind, said)
    return {
        "period": digest.period.kind,
        "span": said,
        "headline": headline,
        **sections(digest, language, is_lead=is_lead),
    }


def _day(day: date, language: Language) -> str:
    return format_date(day, "d MMMM", locale=LOCALES[language])


def _nps(moved: NpsMoved, period: Period, phrases: Phrases) -> str:
    if moved.n is None:
        return phrases.too_few
    if moved.n == 0 or moved.value is None or moved.low is None or moved.high is None:
        return phrases.nobody
    said = f"{_points(moved.value)} ({_interval(_points(moved.low), _points(moved.high), moved.n, phrases)})"
    if moved.change is not None and moved.change_low is not None and moved.change_high is not None:
        between = f"95 %: {_points(moved.change_low)}…{_points(moved.change_high)}"
        return f"{said}; {phrases.than_before[period.kind]} {_points(moved.change)} ({between})"
    return f"{said}; {phrases.asked_otherwise}" if moved.asked_otherwise else said


def _scale(score: ScoreOnScale, phrases: Phrases) -> str:
    return phrases.metric[score.metric].format(scale=f"{score.scale_min}–{score.scale_max}")


def _mean(score: ScoreOnScale, phrases: Phrases) -> str:
    mean = phrases.decimal(score.mean)
    if score.low is None or score.high is None:
        return f"{mean} (n {score.n})"
    return f"{mean} ({_interval(phrases.decimal(score.low), phrases.decimal(score.high), score.n, phrases)})"


def _written(quote: Quote, phrases: Phrases) -> str:
    score = None if quote.score is None else phrases.out_of_ten(quote.score)
    touchpoint = None if quote.touchpoint is None else touchpoint_said(quote.touchpoint, phrases.language)
    return _joined(score, touchpoint)


def _theme(theme: ThemeTold, phrases: Phrases) -> str:
    said = phrases.mentions(theme.mentions)
    if not theme.n or theme.nps is None or theme.low is None or theme.high is None:
        return said
    return f"{said}; NPS {_points(theme.nps)} ({_interval(_points(theme.low), _points(theme.high), theme.n, phrases)})"


def _loop(content: Content, phrases: Phrases) -> Rows:
    rows: list[tuple[str, str]] = []
    health = content.health
    if health is not None:
        rows += [
            (phrases.in_time, _portion(health.contacted_within_48_hours, phrases)),
            (phrases.to_contact, _hours(health.time_to_contact, phrases)),
            (phrases.to_resolve, _hours(health.time_to_resolve, phrases)),
            (phrases.confirmed, _portion(health.confirmed, phrases)),
            (phrases.unconfirmed, _portion(health.unconfirmed, phrases)),
            (phrases.reopened, _portion(health.reopened, phrases)),
            (phrases.escalated, _portion(health.escalated, phrases)),
        ]
    if content.shipped:
        rows.append((phrases.shipped, str(content.shipped)))
    if content.told_within_a_quarter.n:
        rows.append((phrases.in_quarter, _portion(content.told_within_a_quarter, phrases)))
    return tuple(rows)


def _part(health: Health | None, phrases: Phrases) -> str:
    if health is None:
        return phrases.no_cases
    contacted = f"{phrases.in_time_short} {_briefly(health.contacted_within_48_hours, phrases)}"
    confirmed = f"{phrases.confirmed_short} {_briefly(health.confirmed, phrases)}"
    return f"{phrases.cases(health.cases)}, {contacted}, {confirmed}"


def _owed(owed: Owed, language: Language, phrases: Phrases) -> str:
    why = []
    if owed.is_overdue and owed.due_on is not None:
        why.append(phrases.overdue.format(day=_day(owed.due_on, language)))
    if owed.communicate_by is not None:
        by = _day(owed.communicate_by.date(), language)
        why.append((phrases.quarter_over if owed.is_quarter_over else phrases.quarter_ends).format(day=by))
    return _joined(owed.department, owed.owner, *why)


def _portion(portion: Portion, phrases: Phrases) -> str:
    if not portion.n or portion.ci_low is None or portion.ci_high is None:
        return phrases.nothing_yet
    between = phrases.between(portion.ci_low, portion.ci_high)
    return f"{phrases.percent(portion.count / portion.n)} ({phrases.of(portion.count, portion.n)}; 95 %: {between})"


def _briefly(portion: Portion, phrases: Phrases) -> str:
    if not portion.n or portion.ci_low is None or portion.ci_high is None:
        return "– (n 0)"
    between = phrases.between(portion.ci_low, portion.ci_high)
    return f"{phrases.percent(portion.count / portion.n)} (n {phrases.whole(portion.n)}: {between})"


def _hours(middle: Middle, phrases: Phrases) -> str:
    if middle.hours is None:
        return phrases.nothing_yet
    said = f"{middle.hours:.0f}" if middle.hours >= _LEAST_HOURS else phrases.decimal(middle.hours)
    return f"{said} {phrases.hours} (n {middle.n})"


def _interval(low: str, high: str, n: int, phrases: Phrases) -> str:
    return f"n {phrases.whole(n)}; 95 %: {low}…{high}"


def _points(points: float) -> str:
    rounded = round(points)
    return f"{_MINUS}{-rounded}" if rounded < 0 else f"+{rounded}" if rounded else "0"


def _joined(*parts: str | None) -> str:
    return " · ".join(plain_line(each) for each in parts if each)
