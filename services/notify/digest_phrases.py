"""The words of digests, in each language; counts take the form that their number asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from babel import Locale
from babel.numbers import format_decimal, format_percent

from services.notify.texts import LOCALES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.contracts.customers import Language
    from services.notify.domain.digests import Kind, Stage

Forms = tuple[str, ...]
"""One, few (Russian alone), many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """What is said, and how numbers are."""

    language: Language
    nps: Mapping[str, str]
    metric: Mapping[str, str]
    stages: Mapping[Stage, str]
    headlines: Mapping[Kind, str]
    than_before: Mapping[Kind, str]
    too_few: str
    nobody: str
    asked_otherwise: str
    nothing_yet: str
    no_cases: str
    in_time: str
    in_time_short: str
    to_contact: str
    to_resolve: str
    confirmed: str
    confirmed_short: str
    unconfirmed: str
    reopened: str
    escalated: str
    shipped: str
    in_quarter: str
    overdue: str
    quarter_over: str
    quarter_ends: str
    hours: str
    score: str
    more: str
    out_of: str
    thanked_for: str
    open_cases: Forms
    open_tasks: Forms
    late: str
    mentioned: Forms
    tasks_done: Forms
    cases_closed: Forms
    cases_opened: Forms

    def headline(self, kind: Kind, span: str) -> str:
        """The subject."""
        return self.headlines[kind].format(span=span)

    def decimal(self, number: float) -> str:
        """A number with one digit after the point."""
        return format_decimal(round(number, 1), format="#,##0.0", locale=LOCALES[self.language])

    def whole(self, number: int) -> str:
        """A count."""
        return format_decimal(number, locale=LOCALES[self.language])

    def percent(self, part: float) -> str:
        """A part of 1."""
        return format_percent(part, locale=LOCALES[self.language])

    def between(self, low: float, high: float) -> str:
        """From one part of 1 to another."""
        return f"{round(100 * low)}–{self.percent(high)}"

    def more_parts(self, count: int) -> str:
        """Teams that there is no room for."""
        return self.more.format(count=self.whole(count))

    def of(self, count: int, n: int) -> str:
        """So many of so many."""
        return self.out_of.format(count=self.whole(count), n=self.whole(n))

    def out_of_ten(self, score: int) -> str:
        """An NPS score."""
        return self.score.format(score=score)

    def own_work(self, cases: int, cases_overdue: int, tasks: int, tasks_overdue: int) -> str:
        """What lies before the reader."""
        said = [self._with_late(self._count(cases, self.open_cases), cases_overdue)]
        if tasks:
            said.append(self._with_late(self._count(tasks, self.open_tasks), tasks_overdue))
        return ", ".join(said)

    def mentions(self, count: int) -> str:
        """How often a theme was mentioned."""
        return self._count(count, self.mentioned)

    def done(self, tasks: int, cases: int) -> str:
        """What a department did."""
        said = ((tasks, self.tasks_done), (cases, self.cases_closed))
        return ", ".join(self._count(count, forms) for count, forms in said if count)

    def cases(self, count: int) -> str:
        """Cases that were opened."""
        return self._count(count, self.cases_opened)

    def thanked(self, well: int, cases: int) -> str:
        """Why somebody is named."""
        return self.thanked_for.format(well=self.whole(well), cases=self.whole(cases))

    def _with_late(self, said: str, late: int) -> str:
        return said if not late else f"{said} ({self.late.format(late=self.whole(late))})"

    def _count(self, count: int, forms: Forms) -> str:
        form = Locale.parse(LOCALES[self.language]).plural_form(count)
        return f"{self.whole(count)} {forms[{'one': 0, 'few': 1}.get(form, -1)]}"


PHRASES: Final[Mapping[Language, Phrases]] = {
    "ru": Phrases(
        language="ru",
        nps={"relationship": "NPS, отношение к компании", "transactional": "NPS, после обращения"},
        metric={"ces": "Лёгкость решения вопроса ({scale})", "csat": "Удовлетворённость ({scale})"},
        stages={
            "approved": "одобрено",
            "declined": "отклонено",
            "shipped": "сделано",
            "communicated": "рассказано клиентам",
        },
        headlines={"weekly": "Неделя {span}: что сказали клиенты", "monthly": "{span}: что сказали клиенты за месяц"},
        than_before={"weekly": "к прошлой неделе", "monthly": "к прошлому месяцу"},
        too_few="ответов слишком мало, чтобы их показывать",
        nobody="ответов не было",
        asked_otherwise="вопрос задавали иначе, с прошлым не сравнить",
        nothing_yet="пока не о чем судить (n 0)",
        no_cases="обращений не было",
        in_time="Связались за 48 часов",
        in_time_short="за 48 ч",
        to_contact="До первого разговора, медиана",
        to_resolve="До решения, медиана",
        confirmed="Клиент подтвердил решение",
        confirmed_short="подтверждено",
        unconfirmed="Клиент промолчал",
        reopened="Открыто снова",
        escalated="Передано выше",
        shipped="Изменений сделано",
        in_quarter="О переменах рассказано за квартал",
        overdue="надо было сделать к {day}",
        quarter_over="рассказать клиентам надо было до {day}",
        quarter_ends="рассказать клиентам до {day}",
        hours="ч",
        score="оценка {score} из 10",
        more="и ещё {count} – на портале",
        out_of="{count} из {n}",
        thanked_for="{well} из {cases} обращений закрыты отлично",
        open_cases=("открытое обращение", "открытых обращения", "открытых обращений"),
        open_tasks=("задача", "задачи", "задач"),
        late="просрочено: {late}",
        mentioned=("упоминание", "упоминания", "упоминаний"),
        tasks_done=("задача выполнена", "задачи выполнены", "задач выполнено"),
        cases_closed=("обращение закрыто", "обращения закрыты", "обращений закрыто"),
        cases_opened=("обращение", "обращения", "обращений"),
    ),
    "en": Phrases(
        language="en",
        nps={"relationship": "NPS, the relation as a whole", "transactional": "NPS, after a contact"},
        metric={"ces": "Ease of getting help ({scale})", "csat": "Satisfaction ({scale})"},
        stages={
            "approved": "approved",
            "declined": "declined",
            "shipped": "shipped",
            "communicated": "customers were told",
        },
        headlines={
            "weekly": "{span}: what customers told us this week",
            "monthly": "{span}: what customers told us this month",
        },
        than_before={"weekly": "on the week before", "monthly": "on the month before"},
        too_few="too few answers to be shown",
        nobody="nobody answered",
        asked_otherwise="the question was asked otherwise, so it cannot be compared",
        nothing_yet="nothing to judge yet (n 0)",
        no_cases="no cases",
        in_time="Reached within 48 hours",
        in_time_short="within 48 h",
        to_contact="To the first talk, median",
        to_resolve="To the solution, median",
        confirmed="Confirmed by the customer",
        confirmed_short="confirmed",
        unconfirmed="The customer was silent",
        reopened="Reopened",
        escalated="Escalated",
        shipped="Changes shipped",
        in_quarter="Changes told within a quarter",
        overdue="was due on {day}",
        quarter_over="customers should have heard by {day}",
        quarter_ends="tell customers by {day}",
        hours="h",
        score="score {score} of 10",
        more="and {count} more in the portal",
        out_of="{count} of {n}",
        thanked_for="{well} of {cases} cases closed exceptionally well",
        open_cases=("open case", "open cases"),
        open_tasks=("task", "tasks"),
        late="overdue: {late}",
        mentioned=("mention", "mentions"),
        tasks_done=("task done", "tasks done"),
        cases_closed=("case closed", "cases closed"),
        cases_opened=("case", "cases"),
    ),
}
