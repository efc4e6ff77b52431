"""The demonstration company: a fictional bank with its people, customers and surveys, as the services' REST takes them.

Everything has fixed ids and is put, not posted: setting it up again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

PASSWORD: Final = "otklik-demo"  # noqa: S105 - of accounts that exist on this machine's loopback only


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody who can log in to the portal. Agents, managers and executives have the same id in casework."""

    id: str
    login: str
    name: str
    email: str
    role: str
    language: Literal["ru", "en"]


PEOPLE: Final = (
    DemoPerson("anna", "anna", "Анна Воронова", "anna.voronova@ladoga.example", "agent", "ru"),
    DemoPerson("ivan", "ivan", "Иван Соколов", "ivan.sokolov@ladoga.example", "agent", "ru"),
    DemoPerson("emma", "emma", "Emma Clarke", "emma.clarke@ladoga.example", "agent", "en"),
    DemoPerson("olga", "olga", "Ольга Лебедева", "olga.lebedeva@ladoga.example", "manager", "ru"),
    DemoPerson("pavel", "pavel", "Павел Громов", "pavel.gromov@ladoga.example", "executive", "ru"),
    DemoPerson("maria", "maria", "Мария Белова", "maria.belova@ladoga.example", "employee", "ru"),
    DemoPerson("denis", "denis", "Денис Орлов", "denis.orlov@ladoga.example", "operator", "ru"),
    DemoPerson("admin", "admin", "Administrator", "admin@ladoga.example", "administrator", "en"),
)

_SENIORITY: Final = {"anna": 3, "emma": 2, "ivan": 1, "olga": 3, "pavel": 3}

DEPARTMENT: Final[dict[str, Any]] = {"name": "Розничный бизнес"}
TEAM: Final[dict[str, Any]] = {"name": "Забота о клиентах", "department_id": "retail"}
AGENTS: Final[dict[str, dict[str, Any]]] = {
    person.id: {
        "name": person.name,
        "email": person.email,
        "language": person.language,
        "role": person.role,
        "seniority": _SENIORITY[person.id],
        "team_id": "care",
        "department_id": "retail",
        "capacity": 20,
    }
    for person in PEOPLE
    if person.id in _SENIORITY
}

ACCOUNTS: Final[dict[str, dict[str, Any]]] = {"veter": {"name": "ООО «Северный ветер»"}}

CUSTOMERS: Final[dict[str, dict[str, Any]]] = {
    "c-1001": {
        "name": "Елена Кузнецова",
        "email": "elena@severny-veter.example",
        "phone": "+7 812 000-10-01",
        "language": "ru",
        "time_zone": "Europe/Moscow",
        "account_id": "veter",
        "account_role": "decision_maker",
        "current_value": 820_000,
        "potential_value": 5_000_000,
    },
    "c-1002": {
        "name": "John Miller",
        "email": "john.miller@mail.example",
        "phone": "+44 20 0000 1002",
        "language": "en",
        "time_zone": "Europe/London",
        "current_value": 140_000,
        "potential_value": 300_000,
    },
    "c-1003": {
        "name": "Сергей Павлов",
        "email": "sergey.pavlov@mail.example",
        "language": "ru",
        "time_zone": "Asia/Yekaterinburg",
        "current_value": 40_000,
    },
    "c-1004": {
        "name": "Laura Bennett",
        "email": "laura.bennett@mail.example",
        "language": "en",
        "time_zone": "Europe/London",
        "current_value": 55_000,
    },
    "c-1005": {
        "name": "Тимур Ахметов",
        "email": "timur.akhmetov@mail.example",
        "phone": "+7 843 000-10-05",
        "language": "ru",
        "time_zone": "Europe/Moscow",
        "current_value": 60_000,
    },
}

SEGMENT_RULES: Final[dict[str, Any]] = {
    "default": "standard",
    "rules": [
        {"tier": "key", "when": [{"field": "potential_value", "op": ">=", "value": 1_000_000}]},
        {"tier": "high", "when": [{"field": "current_value", "op": ">=", "value": 100_000}]},
        {"tier": "low", "when": [{"field": "current_value", "op": "<", "value": 10_000}]},
    ],
}
