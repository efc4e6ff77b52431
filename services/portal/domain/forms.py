"""What somebody entered into a form, and what was wrong with it: nothing that was typed is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Draft:
    """One form of a page, by the name of what it does; other forms of the page show what is stored."""

    form: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    message: str = ""

    def typed(self, form: str, name: str, stored: str = "") -> str:
        """What the field shows."""
        return self.fields.get(name, stored) if form == self.form else stored

    def chosen(self, form: str, name: str, stored: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What is ticked in a list of boxes."""
        return self.lists.get(name, ()) if form == self.form else stored

    def error(self, form: str, name: str) -> str:
        """What is wrong with the field; empty where nothing is."""
        return self.wrong.get(name, "") if form == self.form else ""


NOTHING = Draft()
