"""Forms: a letter rendered once with blanks in it, and filled in for each recipient.

Rendering a template costs more than sending the mail. So it is rendered once for each thing that it can say, with a
mark in the place of each value, and cut apart at the marks. Filling in escapes a value as the template would have done
where it stands, and the outcome is the same to the byte (`tests/unit/notify/test_forms.py` compares the two).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from markupsafe import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.notify.mime import Letter

_MARK: Final = re.compile("\ue000([a-z_]+)\ue001")
"""Characters for private use: they stand in no template, and no value is there yet when a form is cut."""


def _mark(name: str) -> str:
    return f"\ue000{name}\ue001"


class _Blanks:
    """A text with blanks."""

    def __init__(self, marked: str) -> None:
        # Split by a pattern with one group: text, name, text, name, …, text.
        self._pieces = _MARK.split(marked)
        self._names = self._pieces[1::2]

    def fill(self, values: Mapping[str, str]) -> str:
        """The whole text."""
        pieces = self._pieces.copy()
        pieces[1::2] = [values[name] for name in self._names]
        return "".join(pieces)


class Form:
    """One letter as a form."""

    def __init__(self, write: Callable[[Mapping[str, Any]], Letter], choices: Mapping[str, Any], *blanks: str) -> None:
        """`write` renders it. `choices` are the values that decide what it says; `blanks` names those that do not."""
        marked = write({**choices, **{name: _mark(name) for name in blanks}})
        self.language: Final = marked.language
        self._subject = _Blanks(marked.subject)
        self._text = _Blanks(marked.text)
        self._html = _Blanks(marked.html)

    def fill(self, values: Mapping[str, str]) -> tuple[str, str, str]:
        """Subject, text and HTML with the blanks filled in; each value is one line."""
        escaped = {name: str(escape(value)) for name, value in values.items()}
        return self._subject.fill(values), self._text.fill(values), self._html.fill(escaped)
