"""What administrators enter about an account, and the person whom it is for."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from services.portal.domain.people import Language, Person, PersonId, Role, normal_login
from services.portal.domain.policyforms import WrongEntryError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT: Final = ("id", "login", "name", "email", "role", "language")
INVITED_FOR: Final = timedelta(days=3)
"""How long a link can be used by which somebody chooses a password."""
_LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_ID: Final = re.compile(r"[A-Za-z0-9._@-]{1,128}")
_EMAIL: Final = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+\.[^@\s<>,;:\"]+")
_LONGEST: Final = 200


def person_of(entered: Mapping[str, str]) -> Person:
    """The person; WrongEntryError names what cannot be so."""
    language = next((each for each in _LANGUAGES if each == entered["language"]), None)
    role = next((each for each in Role if each == entered["role"]), None)
    login = normal_login(entered["login"])
    wrong = {name for name in ("login", "name") if not 0 < len(entered[name]) <= _LONGEST}
    if not _ID.fullmatch(entered["id"]) or entered["id"] == "new":
        wrong.add("id")
    if not login.isprintable() or " " in login:
        wrong.add("login")
    if not _EMAIL.fullmatch(entered["email"]) or len(entered["email"]) > _LONGEST:
        wrong.add("email")
    if language is None or role is None or wrong:
        raise WrongEntryError(wrong | ({"role"} if role is None else set()) | ({"language"} if not language else set()))
    return Person(PersonId(entered["id"]), login, entered["name"], entered["email"], role, language)


def entered_account(person: Person) -> dict[str, str]:
    """The other way round: what a form about this account shows."""
    return {
        "id": person.id,
        "login": person.login,
        "name": person.name,
        "email": person.email,
        "role": person.role.value,
        "language": person.language,
    }
