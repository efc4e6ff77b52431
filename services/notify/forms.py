"""Forms: a letter rendered and encoded once with blanks in it, and filled in for each recipient.

Rendering a template costs more than sending the mail, and encoding it as much. So it is rendered once for each thing
that it can say, with a mark in the place of each value, cut apart at the marks, and its fixed parts are encoded
beforehand. Filling in escapes a value as the template would have done where it stands. What comes of it is read as
exactly the mail that the slow way makes (`tests/unit/notify/test_forms.py` compares the two).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from markupsafe import escape

from services.notify.mime import base64_lines, text_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.notify.mime import Letter

_MARK: Final = re.compile("\ue000([a-z_]+)\ue001")
"""Characters for private use: they stand in no template, and no value is there yet when a form is cut."""
_GROUP: Final = 3
"""Base64 takes bytes by three."""


def _mark(name: str) -> str:
    return f"\ue000{name}\ue001"


class _Text:
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


class _Body:
    """The body of a part, in Base64, with blanks.

    Where a fixed piece begins within a group of three bytes depends on the length of the value before it. So each piece
    is kept encoded three times: as it is, without its first byte, and without its first two, which go with the value.
    Lines may be shorter than others; who reads them looks at no line's end (RFC 2045, 6.8).
    """

    def __init__(self, marked: str) -> None:
        pieces = _MARK.split(marked)
        fixed = [text_bytes(piece) for piece in pieces[0::2]]
        self._first = _encoded(fixed[0], 0)
        self._others = [
            (name, piece, [_encoded(piece, skipped) for skipped in range(_GROUP)])
            for name, piece in zip(pieces[1::2], fixed[1:], strict=True)
        ]

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        """The whole body; each of its lines ends in CRLF."""
        lines, rest = self._first
        body = [lines]
        for name, piece, encoded in self._others:
            rest += values[name]
            wanted = -len(rest) % _GROUP
            if len(piece) < wanted:
                rest += piece
                continue
            body.append(base64_lines(rest + piece[:wanted]))
            lines, rest = encoded[wanted]
            body.append(lines)
        body.append(base64_lines(rest))
        return b"".join(body)


def _encoded(piece: bytes, skipped: int) -> tuple[bytes, bytes]:
    """A fixed piece without its first bytes: its lines, and the bytes at its end that fill no group."""
    end = len(piece) - (len(piece) - skipped) % _GROUP
    return base64_lines(piece[skipped:end]), piece[end:]


class Form:
    """One letter as a form."""

    def __init__(self, write: Callable[[Mapping[str, Any]], Letter], choices: Mapping[str, Any], *blanks: str) -> None:
        """`write` renders it. `choices` are the values that decide what it says; `blanks` names those that do not."""
        marked = write({**choices, **{name: _mark(name) for name in blanks}})
        self.language: Final = marked.language
        self._subject = _Text(marked.subject)
        self._plain = _Body(marked.text)
        self._html = _Body(marked.html)

    def fill(self, values: Mapping[str, str]) -> tuple[str, bytes, bytes]:
        """The subject, and the bodies of text and HTML, with the blanks filled in; each value is one line."""
        plain = {name: value.encode("utf-8", "replace") for name, value in values.items()}
        html = {name: escape(value).encode("utf-8", "replace") for name, value in values.items()}
        return self._subject.fill(values), self._plain.fill(plain), self._html.fill(html)
