"""Rows of a company's file as the customers and accounts that scoring takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

What = Literal["customers", "accounts"]

_OF_ALL: Final = ("id", "name", "source_version", "source_updated_at")
FIELDS: Final[Mapping[What, tuple[str, ...]]] = {
    "accounts": _OF_ALL,
    "customers": (
        *_OF_ALL,
        "email",
        "phone",
        "language",
        "time_zone",
        "account_id",
        "account_role",
        "current_value",
        "potential_value",
        "products",
        "email_consent",
        "email_consent_at",
    ),
}
ATTRIBUTES: Final = "attributes."
"""What the columns of attributes begin with, so that nothing becomes one by accident."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("customer_id", "client_id", "crm_id", "код", "код клиента", "ид", "ид клиента"),
    "name": ("full_name", "customer", "company", "имя", "фио", "клиент", "название", "компания"),
    "email": ("e-mail", "mail", "почта", "эл. почта", "электронная почта"),
    "phone": ("tel", "telephone", "mobile", "телефон"),
    "language": ("lang", "язык"),
    "time_zone": ("timezone", "tz", "часовой пояс"),
    "account_id": ("account", "company_id", "код компании", "код организации"),
    "account_role": ("role", "роль"),
    "current_value": ("revenue", "выручка", "текущая ценность"),
    "potential_value": ("potential", "потенциал", "потенциальная ценность"),
    "products": ("product", "продукт", "продукты"),
    "email_consent": ("consent", "opt_in", "согласие"),
    "email_consent_at": ("consent_at", "дата согласия"),
    "source_version": ("version", "версия"),
    "source_updated_at": ("updated_at", "modified_at", "изменено", "дата изменения"),
}
_YES: Final = frozenset({"1", "true", "yes", "y", "да", "д"})
_NO: Final = frozenset({"0", "false", "no", "n", "нет", "н"})
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_SPACES: Final = str.maketrans("", "", " \u00a0\u202f_'")


class NotUnderstood(Exception):
    """A value of a row cannot be what its field takes."""


def guess(columns: Sequence[str], what: What, said: Mapping[str, str]) -> dict[str, str]:
    """Which column each field is read from: as it was said, by its own name, or by one that companies use.

    "" says that a field is nowhere. Raises NotUnderstood for a field or a column that there is not.
    """
    for field, column in said.items():
        if field not in FIELDS[what] and not field.startswith(ATTRIBUTES):
            raise NotUnderstood(f"there is no field {field}: {', '.join(FIELDS[what])}, {ATTRIBUTES}<name>")
        if column and column not in columns:
            raise NotUnderstood(f"there is no column {column!r}: {', '.join(columns)}")
    found = {field: column for field, column in said.items() if column}
    known = {column.strip().casefold(): column for column in reversed(columns)}
    for field in FIELDS[what]:
        names = (field, *_NAMES[field])
        if field not in said and (name := next((each for each in names if each in known), None)) is not None:
            found[field] = known[name]
    found |= {column: column for column in columns if column.startswith(ATTRIBUTES) and column not in said}
    if missing := [field for field in ("id", "name") if field not in found]:
        raise NotUnderstood(f"there is no column for {' and '.join(missing)}: say --map {missing[0]}=COLUMN")
    return found


def item(row: Mapping[str, Any], columns: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, Any]:
    """What scoring takes for this row. Raises NotUnderstood with the field and the reason."""
    found: dict[str, Any] = {}
    attributes: dict[str, Any] = dict(row["attributes"]) if isinstance(row.get("attributes"), dict) else {}
    for field, column in columns.items():
        value = row.get(column)
        if value is None or value == "":
            continue
        if field.startswith(ATTRIBUTES):
            attributes[field.removeprefix(ATTRIBUTES)] = _attribute(value)
        else:
            found[field] = _value(field, value)
    if not found.get("id"):
        raise NotUnderstood("there is no id")
    if attributes:
        found["attributes"] = attributes
    return {**defaults, **found}


def _value(field: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    match field:
        case "current_value" | "potential_value":
            return _number(field, value)
        case "source_version":
            return int(_number(field, value))
        case "products":
            return value if isinstance(value, list) else [each.strip() for each in re.split("[|;,]", str(value))]
        case "email_consent":
            return _truth(field, value)
        case _:
            return str(value).strip() if isinstance(value, (str, int)) else value


def _number(field: str, value: Any) -> float:  # noqa: ANN401 - JSON
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        return float(str(value).translate(_SPACES).replace(",", "."))
    except ValueError as error:
        raise NotUnderstood(f"{field} is no number") from error


def _truth(field: str, value: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(value, bool):
        return value
    written = str(value).strip().casefold()
    if written not in _YES | _NO:
        raise NotUnderstood(f"{field} is neither yes nor no")
    return written in _YES


def _attribute(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A number where it is written as one (a code with a leading zero is none), yes or no, else text."""
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return {"true": True, "false": False}.get(value.casefold(), value)
