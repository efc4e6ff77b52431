"""Segment rules as rows of a form: what people type on one side, the document that scoring takes on the other.

Fields are called by their place: `main.2.tier`, `main.2.when.0.value`, `p1.default`. A program's name is a field, too,
so that programs are numbered. What a row's value means follows from its comparison: a share is typed in percent, a
choice as values with ";" between. Where texts and numbers are both possible (attributes), digits are a number, and
"yes" and "no" are what they say, unless they stand in quotation marks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELDS: Final = (
    "current_value",
    "potential_value",
    "account_role",
    "product",
    "account_id",
    "attributes",
    "account",
)
"""What a condition can be about; the last two have a name of their own."""
NAMED: Final = ("attributes", "account")
OPERATORS: Final = (">=", ">", "<=", "<", "=", "in", "top", "bottom")
ROLES: Final = ("decision_maker", "end_user")
WEIGHTS: Final = (*ROLES, "other", "days")
MAIN: Final = "main"
MOST_RULES: Final = 100
MOST_CONDITIONS: Final = 10
MOST_PROGRAMS: Final = 50
_SHARES: Final = ("top", "bottom")
_NUMBERS: Final = ("current_value", "potential_value")
_TEXTS: Final = ("account_role", "product", "account_id")
_TRUE: Final = {"yes": True, "да": True, "no": False, "нет": False}
_CHOICES: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^;]*)\s*(?:;|$)')
_PERCENT: Final = 100

Action = Literal["add-rule", "add-condition", "add-program", "remove", "up", "down"]


@dataclass(frozen=True, slots=True)
class Row:
    """One condition as it is typed."""

    field: str = FIELDS[0]
    name: str = ""
    op: str = OPERATORS[0]
    value: str = ""


@dataclass(frozen=True, slots=True)
class RuleRows:
    """A tier and the rows that all have to be met."""

    tier: str = "key"
    when: tuple[Row, ...] = (Row(),)


@dataclass(frozen=True, slots=True)
class SetRows:
    """Rules in their order; `program` is whose answers they value, empty for the main ones."""

    default: str = "standard"
    rules: tuple[RuleRows, ...] = ()
    program: str = ""


@dataclass(frozen=True, slots=True)
class RulesForm:
    """All of the form: the main rules first, then those of programs."""

    sets: tuple[SetRows, ...]
    accounts: Mapping[str, str] = field(default_factory=dict)


def prefix(index: int) -> str:
    """What the fields of a set begin with."""
    return MAIN if index == 0 else f"p{index}"


def form_of(document: Mapping[str, Any], language: str) -> RulesForm:
    """The form that shows this document."""
    sets = [_set_of(document, "", language)]
    sets += [_set_of(each, name, language) for name, each in document.get("programs", {}).items()]
    return RulesForm(tuple(sets), {name: _number(each, language) for name, each in document["accounts"].items()})


def typed(fields: Mapping[str, str]) -> RulesForm:
    """The form that was sent. Fields that are not there are empty; places are counted until one is missing."""
    sets: list[SetRows] = []
    while len(sets) <= MOST_PROGRAMS and f"{prefix(len(sets))}.default" in fields:
        at = prefix(len(sets))
        rules: list[RuleRows] = []
        while len(rules) <= MOST_RULES and f"{at}.{len(rules)}.tier" in fields:
            place = f"{at}.{len(rules)}"
            rows: list[Row] = []
            while len(rows) <= MOST_CONDITIONS and f"{place}.when.{len(rows)}.field" in fields:
                of = f"{place}.when.{len(rows)}"
                parts = (fields.get(f"{of}.{part}", "").strip() for part in ("field", "name", "op", "value"))
                rows.append(Row(*parts))
            rules.append(RuleRows(fields[f"{place}.tier"], tuple(rows)))
        sets.append(SetRows(fields[f"{at}.default"], tuple(rules), fields.get(f"{at}.program", "").strip()))
    return RulesForm(
        tuple(sets) or (SetRows(),), {name: fields.get(f"accounts.{name}", "").strip() for name in WEIGHTS}
    )


def document_of(form: RulesForm, language: str) -> dict[str, Any]:
    """The document; what cannot be read as what it should be stays a text, for scoring to refuse at its place."""
    accounts = {name: _read_number(text, language) for name, text in form.accounts.items() if text}
    found = _set_document(form.sets[0], language)
    programs = {each.program: _set_document(each, language) for each in form.sets[1:]}
    return found | {"programs": programs, "accounts": accounts}


def repeated_programs(form: RulesForm) -> list[int]:
    """The sets whose program has no name, or the name of an earlier one: a document could not hold them."""
    seen: set[str] = set()
    found = []
    for index, each in enumerate(form.sets[1:], start=1):
        if not each.program or each.program in seen:
            found.append(index)
        seen.add(each.program)
    return found


def edited(form: RulesForm, action: Action, place: str) -> RulesForm:
    """The form after one of its buttons; a place that is not there changes nothing."""
    if action == "add-program":
        return replace(form, sets=(*form.sets, SetRows())) if len(form.sets) <= MOST_PROGRAMS else form
    parts = place.split(".")
    index = next((at for at in range(len(form.sets)) if prefix(at) == parts[0]), None)
    if index is None or not all(part.isdecimal() for part in parts[1:]):
        return form
    numbers = [int(part) for part in parts[1:]]
    sets = list(form.sets)
    if action == "remove" and not numbers:
        del sets[index : index + (1 if index else 0)]
    else:
        sets[index] = _edited_set(sets[index], action, numbers)
    return replace(form, sets=tuple(sets))


def field_at(form: RulesForm, pointer: str) -> str | None:
    """The form's field that a pointer into the document means; None where it has none of its own."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    at = MAIN
    if parts[:1] == ["programs"] and len(parts) > 1:
        index = next((at for at, each in enumerate(form.sets) if at and each.program == parts[1]), None)
        if index is None:
            return None
        at, parts = prefix(index), parts[2:] or ["program"]
    match parts:
        case ["accounts", *named]:
            found: str | None = f"accounts.{named[0] if named else ROLES[0]}"
        case ["default" | "program" as name]:
            found = f"{at}.{name}"
        case ["rules", rule, "when", row, part, *_]:
            found = f"{at}.{rule}.when.{row}.{part}"
        case ["rules", rule, "when", row]:
            found = f"{at}.{rule}.when.{row}.field"
        case ["rules", rule, *_]:
            found = f"{at}.{rule}.tier"
        case _:
            found = None
    return found


def _edited_set(rules: SetRows, action: Action, numbers: Sequence[int]) -> SetRows:
    found = list(rules.rules)
    match action, numbers:
        case "add-rule", []:
            if len(found) < MOST_RULES:
                found.append(RuleRows())
        case ("add-condition", [at]) if at < len(found):
            if len(found[at].when) < MOST_CONDITIONS:
                found[at] = replace(found[at], when=(*found[at].when, Row()))
        case ("remove", [at]) if at < len(found):
            del found[at]
        case ("remove", [at, row]) if at < len(found):
            found[at] = replace(found[at], when=found[at].when[:row] + found[at].when[row + 1 :])
        case ("up" | "down", [at]) if at < len(found):
            other = at - 1 if action == "up" else at + 1
            if 0 <= other < len(found):
                found[at], found[other] = found[other], found[at]
        case _:
            pass
    return replace(rules, rules=tuple(found))


def _set_of(rules: Mapping[str, Any], program: str, language: str) -> SetRows:
    def row_of(rule: Mapping[str, Any]) -> RuleRows:
        return RuleRows(rule["tier"], tuple(_row(condition, language) for condition in rule["when"]))

    return SetRows(rules["default"], tuple(row_of(rule) for rule in rules["rules"]), program)


def _row(condition: Mapping[str, Any], language: str) -> Row:
    about, _, name = str(condition["field"]).partition(".")
    op, value = condition["op"], condition["value"]
    if op in _SHARES:
        return Row(about, name, op, _number(round(_PERCENT * value, 10), language))
    if op == "in":
        return Row(about, name, op, "; ".join(_written(each, about, language) for each in value))
    return Row(about, name, op, _written(value, about, language))


def _written(value: object, about: str, language: str) -> str:
    """A value as somebody would type it, so that it is read as the same value again."""
    if isinstance(value, bool):
        words = ("да", "нет") if language == "ru" else ("yes", "no")
        return words[0] if value else words[1]
    if isinstance(value, (int, float)):
        return _number(value, language)
    text = str(value)
    again = _read(text, about, language)
    plain = isinstance(again, str) and again == text.strip() == text and not set(text) & {";", '"'}
    return text if plain and text else json.dumps(text, ensure_ascii=False)


def _set_document(rules: SetRows, language: str) -> dict[str, Any]:
    def rule_of(rows: RuleRows) -> dict[str, Any]:
        return {"tier": rows.tier, "when": [_condition(row, language) for row in rows.when]}

    return {"default": rules.default, "rules": [rule_of(each) for each in rules.rules]}


def _condition(row: Row, language: str) -> dict[str, Any]:
    about = f"{row.field}.{row.name}" if row.field in NAMED else row.field
    return {"field": about, "op": row.op, "value": _value(row, language)}


def _value(row: Row, language: str) -> object:
    if row.op in _SHARES:
        share = _read_number(row.value.rstrip("% "), language)
        return share if isinstance(share, str) else round(share / _PERCENT, 12)
    if row.op == "in":
        found = [match[1].strip() for match in _CHOICES.finditer(row.value)]
        return [_read(each, row.field, language) for each in found if each]
    return _read(row.value, row.field, language)


def _read(text: str, about: str, language: str) -> str | bool | int | float:
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            quoted = json.loads(text)
        except ValueError:
            return text
        return str(quoted)
    if about in _TEXTS:
        return text
    if about not in _NUMBERS and text.casefold() in _TRUE:
        return _TRUE[text.casefold()]
    return _read_number(text, language)


def _number(value: float, language: str) -> str:
    """A number as somebody types it, without separators of thousands."""
    text = str(int(value) if value == int(value) else value)
    return text.replace(".", ",") if language == "ru" else text


def _read_number(text: str, language: str) -> str | int | float:
    """The number that a text is, with the language's separators; else the text."""
    plain = re.sub(r"[\s\u00a0\u202f]", "", text)
    # A comma is a decimal sign in Russian, and stands between thousands in English.
    plain = plain.replace(",", ".") if language == "ru" else re.sub(r",(?=\d{3}(?:\D|$))", "", plain)
    if re.fullmatch(r"-?\d{1,15}", plain):
        return int(plain)
    return float(plain) if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", plain) else text
