"""Which cases a list shows: as our address says it, as casework takes it, and as people save it under a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from services.portal.domain import casefile
from services.portal.domain.people import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.domain.people import Person

NAMES: Final = ("status", "whose", "level", "tier", "due", "sort", "customer")
BULK_KINDS: Final = ("assign", "escalate", "priority")
_OWNER: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_HOURS: Final = re.compile(r"[0-9]{1,4}")
_MOST_HOURS: Final = 24 * 366
_LONGEST_CUSTOMER: Final = 512
_HIGHEST: Final = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is asked to show. `due` is a name of `casefile.DUE_WITHIN`, or a number of hours."""

    status: str
    whose: str
    level: str
    tier: str
    due: str
    sort: str
    customer: str

    @property
    def due_within(self) -> timedelta | None:
        """Within how long something has to be due."""
        if not self.due:
            return None
        known = casefile.DUE_WITHIN.get(self.due)
        return timedelta(hours=int(self.due)) if known is None else known

    def params(self, person: Person, *, now: datetime) -> dict[str, str]:
        """As casework's list takes them."""
        found = self._narrowed(person)
        if (within := self.due_within) is not None:
            found["due_before"] = (now + within).isoformat()
        return found

    def body(self, person: Person) -> dict[str, object]:
        """As casework saves them, and works on them: "mine" is the name of whose it is."""
        body: dict[str, object] = {**self._narrowed(person)}
        if (within := self.due_within) is not None:
            body["due_within_hours"] = int(within / timedelta(hours=1))
        return body

    def query(self, **more: str) -> str:
        """As our own address carries them."""
        told = {name: getattr(self, name) for name in NAMES}
        return urlencode({name: value for name, value in (told | more).items() if value})

    def _narrowed(self, person: Person) -> dict[str, str]:
        found = {
            "status": self.status,
            "level": self.level,
            "tier": self.tier,
            "sort": self.sort,
            "customer": self.customer,
            "owner": {"all": "", "mine": str(person.id)}.get(self.whose, self.whose),
        }
        return {name: value for name, value in found.items() if value}


def filters_in(given: Mapping[str, str], person: Person) -> Filters:
    """What an address asks for; agents see their own cases unless they ask for all, everybody else sees all."""
    whose = given.get("whose", "")
    usual = "mine" if person.role is Role.AGENT else "all"
    due = given.get("due", "")
    hours = _HOURS.fullmatch(due) is not None and int(due) <= _MOST_HOURS
    customer = given.get("customer", "")
    return Filters(
        status=_one_of(given, "status", casefile.STATUSES),
        whose=whose if _OWNER.fullmatch(whose) else usual,
        level=_one_of(given, "level", casefile.LEVELS),
        tier=_one_of(given, "tier", casefile.TIERS),
        due=due if hours or due in casefile.DUE_WITHIN else "",
        sort=_one_of(given, "sort", ("priority",)),
        customer=customer if len(customer) <= _LONGEST_CUSTOMER and customer.isprintable() else "",
    )


def filters_of_query(query: str, person: Person) -> Filters:
    """The same from the end of an address that a form carries along."""
    return filters_in(dict(parse_qsl(query)), person)


def filters_saved(saved: Mapping[str, Any], person: Person) -> Filters:
    """What somebody saved."""
    owner = saved.get("owner")
    hours = saved.get("due_within_hours")
    known = {int(within / timedelta(hours=1)): name for name, within in casefile.DUE_WITHIN.items()}
    given = {name: str(saved[name]) for name in ("status", "level", "tier", "sort", "customer") if saved.get(name)}
    given["whose"] = "all" if owner is None else "mine" if owner == person.id else str(owner)
    return filters_in(given | ({} if hours is None else {"due": known.get(hours, str(hours))}), person)


@dataclass(frozen=True, slots=True)
class Ticked:
    """A case that somebody ticked, as it was when they saw it; without a version, however it is."""

    id: str
    version: int | None

    @classmethod
    def of(cls, written: str) -> Ticked:
        """From a form; ValueError for what no form of ours carries."""
        id_, _, version = written.partition(":")
        if not re.fullmatch(r"[0-9a-f-]{36}", id_) or not re.fullmatch(r"[0-9]{0,9}", version):
            raise ValueError(written)
        return cls(id_, int(version) if version else None)

    def __str__(self) -> str:
        return self.id if self.version is None else f"{self.id}:{self.version}"

    def body(self) -> dict[str, object]:
        """As casework takes it."""
        return {"id": self.id} if self.version is None else {"id": self.id, "version": self.version}


class WrongActError(ValueError):
    """A field of an act on many cases that cannot be so."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field: Final = field


def act_of(entered: Mapping[str, str]) -> dict[str, object]:
    """What to do with many cases, as casework takes it; WrongActError names what cannot be so."""
    kind = entered["kind"]
    if kind == "assign":
        return {"kind": kind, "owner_id": entered["owner_id"] or None}
    if kind == "escalate":
        if entered["reason"] not in casefile.ESCALATION_REASONS:
            raise WrongActError("reason")
        return {"kind": kind, "reason": entered["reason"]}
    if kind == "priority":
        written = entered["priority"]
        if not re.fullmatch(r"[0-9]{1,3}", written) or int(written) > _HIGHEST:
            raise WrongActError("priority")
        return {"kind": kind, "priority": int(written)}
    raise WrongActError("kind")


def _one_of(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = given.get(name, "")
    return value if value in allowed else ""
