"""A company under measurement and its survey: staff, customers, and their answers as vendors sign and send them."""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, Final

from deploy.demo.company import SEGMENT_RULES
from deploy.demo.deliveries import delighted, formbricks, typeform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from bench.system import System
    from deploy.demo.deliveries import Delivery

AGENTS: Final = 50
DETRACTORS: Final = 0.15
_BATCH: Final = 1_000
_AHEAD: Final = timedelta(minutes=4)
"""Where the time of sending is signed, it is good for five minutes before and after: the last one is sent late."""
_PASSIVES: Final = 0.25
_WORDS: Final = (
    "Заявку закрыли только с третьего раза, каждый раз приходилось объяснять всё сначала.",
    "I was passed on three times, and nobody had read what I wrote before.",
    "Ждала в отделении сорок минут, никто не подошёл; талон пришлось брать заново.",
    "The app logged me out in the middle of a payment. Twice.",
    "Спасибо, всё быстро и вежливо. Инженер, который приехал, разобрался за час.",
)
_TEXT_SECRET: Final = hashlib.sha256(b"of a source that nobody else reaches").hexdigest()
_KEY_SECRET: Final = "whsec_" + base64.b64encode(hashlib.sha256(b"of another one").digest()).decode()


def _instrument(channel: str) -> dict[str, Any]:
    question = "Насколько вероятно, что вы порекомендуете нас?"
    scale = {"scale_min": 0, "scale_max": 10}
    return {"metric": "nps", "question": question, **scale, "kind": "transactional", "channel": channel}


_SOURCES: Final[dict[str, dict[str, Any]]] = {
    "branch": {
        "vendor": "typeform",
        "program": "branch-visits",
        "instrument": _instrument("email"),
        "language": "ru",
        "field_map": {
            "score": {"question": "nps"},
            "comment": {"question": "why"},
            "customer": {"hidden": "customer_id"},
            "touchpoint": {"hidden": "touchpoint"},
        },
        "secret": _TEXT_SECRET,
    },
    "calls": {
        "vendor": "delighted",
        "program": "calls",
        "instrument": _instrument("sms"),
        "field_map": {"customer": {"hidden": "customer_id"}, "touchpoint": {"hidden": "touchpoint"}},
        "secret": _TEXT_SECRET,
    },
    "app": {
        "vendor": "formbricks",
        "program": "app",
        "touchpoint": "app",
        "instrument": _instrument("in_app"),
        "field_map": {
            "score": {"question": "nps"},
            "comment": {"question": "why"},
            "customer": {"hidden": "userId"},
        },
        "secret": _KEY_SECRET,
    },
}


@dataclass(frozen=True, slots=True)
class Wave:
    """Signed answers as whole HTTP requests, in the order in which they are sent."""

    requests: list[bytes]
    detractors: dict[int, str]
    """Who opens a case, by the place of the answer."""


class Survey:
    """Draws answers, the same in every run; each unhappy customer has no case yet, so that each opens one."""

    def __init__(self) -> None:
        self._chance = random.Random(20_26)
        self._numbers: Iterator[int] = count(1)
        self._without_case: list[str] = []
        self._customers = 0

    async def set_up(self, system: System) -> None:
        """Sources, staff and segment rules, with keys and over HTTP, as an administrator does."""
        async with await system.client("ingest") as ingest:
            for name, source in _SOURCES.items():
                _checked(await ingest.put(f"/v1/sources/{name}", json=source))
        async with await system.client("scoring") as scoring:
            _checked(await scoring.put("/v1/segment-rules", json=SEGMENT_RULES))
        async with await system.client("casework") as casework:
            await _put_staff(casework)

    async def add_customers(self, system: System, amount: int) -> None:
        """Let scoring know further customers."""
        first = self._customers
        self._customers += amount
        ids = [f"c-{number:07d}" for number in range(first, self._customers)]
        async with await system.client("scoring") as scoring:
            for start in range(0, amount, _BATCH):
                items = [self._customer(id_) for id_ in ids[start : start + _BATCH]]
                _checked(await scoring.post("/v1/customers/batch", json={"items": items}))
        self.know(ids)

    def know(self, ids: list[str]) -> None:
        """Let these customers answer, too."""
        self._chance.shuffle(ids)
        self._without_case += ids

    @property
    def customers(self) -> int:
        """How many customers scoring knows."""
        return self._customers

    def answers(self, amount: int) -> Wave:
        """One answer each of as many customers who have no case, signed now; of those who are unhappy, the last.

        Where there are not as many, some of the others answer more than once.
        """
        unhappy = set(self._chance.sample(range(amount), int(amount * DETRACTORS)))
        happy = amount - len(unhappy)
        detractors = dict(zip(sorted(unhappy), self._take(len(unhappy)), strict=True))
        others = cycle(self._without_case[-happy:])
        answered_at = datetime.now(UTC)
        requests = [
            _request(self._answer(detractors.get(place) or next(others), place in unhappy, answered_at))
            for place in range(amount)
        ]
        return Wave(requests, detractors)

    def _take(self, amount: int) -> list[str]:
        taken = self._without_case[:amount]
        if len(taken) < amount:
            raise LookupError("there are not enough customers without a case: add some")
        del self._without_case[:amount]
        return taken

    def _answer(self, customer: str, unhappy: bool, now: datetime) -> Delivery:  # noqa: FBT001 - drawn before
        chance = self._chance.random
        best = 7 if chance() < _PASSIVES else 9
        score = int(chance() * 7) if unhappy else best + int(chance() * 2)
        words = self._chance.choice(_WORDS) if chance() < (0.8 if unhappy else 0.35) else None
        answered_at = now - timedelta(seconds=chance() * 600)
        token = f"r-{next(self._numbers):08d}"
        place = f"branch-{int(chance() * 40)}"
        match chance():
            case share if share < 0.6:  # noqa: PLR2004 - most of them come in branches
                return typeform(
                    "branch",
                    _TEXT_SECRET,
                    token=token,
                    answered_at=answered_at,
                    score=score,
                    comment=words,
                    customer=customer,
                    touchpoint=place,
                )
            case share if share < 0.85:  # noqa: PLR2004 - some in the app
                return formbricks(
                    "app",
                    _KEY_SECRET,
                    response=token,
                    answered_at=answered_at,
                    sent_at=now + _AHEAD,
                    score=score,
                    comment=words or "",
                    customer=customer,
                )
            case _:
                return delighted(
                    "calls",
                    _TEXT_SECRET,
                    response=token,
                    answered_at=answered_at,
                    updated_at=answered_at,
                    score=score,
                    comment=words,
                    customer=customer,
                    touchpoint=place,
                )

    def _customer(self, id_: str) -> dict[str, Any]:
        value = round(self._chance.paretovariate(1.1) * 5_000)
        return {
            "id": id_,
            "name": f"Ольга Смирнова {id_}",
            "email": f"{id_}@customers.example",
            "phone": "+7 812 000-00-00",
            "language": "ru" if self._chance.random() < 0.8 else "en",  # noqa: PLR2004 - most of them
            "time_zone": "Europe/Moscow",
            "current_value": value,
            "potential_value": value * 3,
        }


async def _put_staff(casework: httpx.AsyncClient) -> None:
    put: Callable[..., Any] = casework.put
    _checked(await put("/v1/departments/retail", json={"name": "Розничный бизнес"}))
    _checked(await put("/v1/teams/care", json={"name": "Забота о клиентах", "department_id": "retail"}))
    roles = [*(f"agent-{number}" for number in range(AGENTS)), "manager", "executive"]
    for number, id_ in enumerate(roles):
        body = {
            "name": f"Анна Воронова {number}",
            "email": f"{id_}@bank.example",
            "language": "ru",
            "role": id_.partition("-")[0],
            "seniority": 1 + number % 3,
            "team_id": "care",
            "department_id": "retail",
            "capacity": 1000,
        }
        _checked(await put(f"/v1/agents/{id_}", json=body))
    _checked(await put("/v1/departments/retail", json={"name": "Розничный бизнес", "manager_id": "manager"}))


def _request(delivery: Delivery) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in delivery.headers.items())
    return (
        f"POST /v1/webhooks/{delivery.source} HTTP/1.1\r\nhost: otklik.example\r\naccept: */*\r\n"
        f"content-length: {len(delivery.body)}\r\n{head}\r\n"
    ).encode() + delivery.body


def _checked(answer: httpx.Response) -> None:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
