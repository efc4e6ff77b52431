"""A digest in which everything is said that one can say, and one of a week in which nothing happened."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from services.notify.domain.digests import (
    Content,
    Deed,
    Department,
    Digest,
    Health,
    Middle,
    NpsMoved,
    Owed,
    Part,
    Period,
    Portion,
    Quote,
    ScoreOnScale,
    Thanked,
    ThemeTold,
)

_NOBODY: Final = Portion(n=0, count=0, ci_low=None, ci_high=None)
_HEALTH: Final = Health(
    cases=48,
    contacted_within_48_hours=Portion(n=45, count=42, ci_low=0.82, ci_high=0.98),
    time_to_contact=Middle(n=44, hours=6.4),
    time_to_resolve=Middle(n=31, hours=52.3),
    confirmed=Portion(n=29, count=22, ci_low=0.58, ci_high=0.88),
    unconfirmed=Portion(n=29, count=5, ci_low=0.08, ci_high=0.35),
    reopened=Portion(n=31, count=3, ci_low=0.03, ci_high=0.25),
    escalated=Portion(n=48, count=6, ci_low=0.06, ci_high=0.25),
)
FULL: Final = Digest(
    id=Period("weekly", date(2026, 2, 23), date(2026, 3, 2)).id,
    period=Period("weekly", date(2026, 2, 23), date(2026, 3, 2)),
    zone="Europe/Moscow",
    content=Content(
        nps=(
            NpsMoved(
                survey="relationship",
                n=240,
                value=31.3,
                low=22.1,
                high=39.9,
                before_n=228,
                change=4.2,
                change_low=-6.4,
                change_high=14.8,
                asked_otherwise=False,
            ),
            NpsMoved(
                survey="transactional",
                n=88,
                value=-4.6,
                low=-21.9,
                high=12.9,
                before_n=70,
                change=None,
                change_low=None,
                change_high=None,
                asked_otherwise=True,
            ),
        ),
        scores=(
            ScoreOnScale(
                metric="ces", survey="transactional", scale_min=1, scale_max=7, n=64, mean=5.2, low=4.8, high=5.6
            ),
        ),
        themes=(
            ThemeTold(
                name_ru="Ожидание на линии",
                name_en="Waiting on the line",
                survey="transactional",
                mentions=37,
                n=35,
                nps=-48.6,
                low=-69.5,
                high=-23.1,
            ),
            ThemeTold(
                name_ru="Вежливость",
                name_en="Courtesy",
                survey="relationship",
                mentions=21,
                n=0,
                nps=None,
                low=None,
                high=None,
            ),
        ),
        departments=(
            Department(id="care", name="Забота о клиентах", tasks_done=3, cases_closed=27),
            Department(id="it", name="IT", tasks_done=1, cases_closed=0),
        ),
        deeds=(
            Deed(title="Перезваниваем сами", department="Забота о клиентах", stage="shipped", reason=None),
            Deed(title="Чат до полуночи", department="IT", stage="declined", reason="Ночью пишут трое в неделю"),
        ),
        owed=(
            Owed(
                title="Понятные счета",
                department="IT",
                owner="Борис Орлов",
                due_on=date(2026, 2, 20),
                communicate_by=datetime(2026, 3, 14, tzinfo=UTC),
                is_overdue=True,
                is_quarter_over=False,
            ),
        ),
        health=_HEALTH,
        shipped=1,
        told_within_a_quarter=Portion(n=4, count=3, ci_low=0.3, ci_high=0.95),
        parts=(Part(id="team/north", name="Север", health=_HEALTH), Part(id="department/it", name="IT", health=None)),
        thanked=(Thanked(agent_id="anna", name="Анна Петрова", place="Забота о клиентах", cases=20, well=19),),
    ),
    quotes=(
        Quote(
            customer_id="c-1",
            score=2,
            touchpoint="call_centre",
            said="Ждала сорок минут, а потом связь оборвалась. Перезвоните на •••, меня зовут •••.",
        ),
        Quote(customer_id=None, score=10, touchpoint=None, said="Всё решили за один звонок, спасибо!"),
    ),
    frozen_at=datetime(2026, 3, 2, 5, tzinfo=UTC),
    told_at=None,
)
QUIET: Final = Digest(
    id=Period("monthly", date(2026, 2, 1), date(2026, 3, 1)).id,
    period=Period("monthly", date(2026, 2, 1), date(2026, 3, 1)),
    zone="Europe/Moscow",
    content=Content(
        nps=(),
        scores=(),
        themes=(),
        departments=(),
        deeds=(),
        owed=(),
        health=None,
        shipped=0,
        told_within_a_quarter=_NOBODY,
        parts=(),
        thanked=(),
    ),
    quotes=(),
    frozen_at=datetime(2026, 3, 1, 5, tzinfo=UTC),
    told_at=None,
)
