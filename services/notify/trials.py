"""Trying a template before it is used: with every sample of its kind, and with names that mean harm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from uuid import UUID

from jinja2 import TemplateError

from services.notify.domain.messages import MessageId
from services.notify.letters import Addressed
from services.notify.mime import Mailbox
from services.notify.samples import NEEDS_LINK, SAMPLES
from services.notify.templating import Compiled, Fault, NotATemplateError, Source, compiled

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageKind
    from services.notify.domain.messages import Facts
    from services.notify.letters import Letters
    from services.notify.mime import Letter

_NOW: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
_ID: Final = MessageId(UUID(int=1))
_NAMES: Final[dict[Language, str]] = {"ru": "Иван Иванов", "en": "John Smith"}
_HOSTILE: Final = "javascript:alert(1) <b>\"'&</b> onclick=x"
_LONGEST_SUBJECT: Final = 200
_MOST_FAULTS: Final = 20
_VOID: Final = frozenset({"meta", "br", "link", "img", "hr", "wbr", "col"})
_FORBIDDEN: Final = frozenset({"script", "iframe", "object", "embed", "form", "input", "base", "svg", "link"})
_LOADS: Final = frozenset({"src", "srcset", "background", "poster", "data"})
_SCHEMES: Final = ("https://", "http://", "mailto:", "tel:")


@dataclass(frozen=True, slots=True)
class Shown:
    """One sample, as people would get it."""

    sample: int
    letter: Letter


def try_out(letters: Letters, kind: MessageKind, language: Language, source: Source) -> tuple[list[Fault], list[Shown]]:
    """What is wrong with a template, and how it looks for each sample of its kind."""
    try:
        template = compiled(source)
    except NotATemplateError as error:
        return list(error.faults), []
    faults: dict[Fault, None] = {}
    shown: list[Shown] = []
    for number, facts in enumerate(SAMPLES[kind]):
        for name in (_NAMES[language], "", _HOSTILE):
            message = a_sample(kind, language, facts, name)
            try:
                letter = letters.write(message, _NOW, template)
            except NotATemplateError as error:
                faults |= dict.fromkeys(error.faults)
                continue
            except (TemplateError, TypeError, ValueError, ZeroDivisionError, RecursionError) as error:
                faults[Fault(part="html", code="cannot_be_written", detail=f"Sample {number + 1}: {error}")] = None
                continue
            faults |= dict.fromkeys(_of_letter(letters, message, template, letter))
            if name == _NAMES[language]:
                shown.append(Shown(number, letter))
        if len(faults) >= _MOST_FAULTS:
            break
    return list(faults)[:_MOST_FAULTS], shown


def a_sample(kind: MessageKind, language: Language, facts: Facts, name: str | None = None) -> Addressed:
    """A message with these facts to somebody who is not there."""
    return Addressed(
        id=_ID,
        kind=kind,
        case_id="01890000-0000-7000-8000-000000000000",
        facts=facts,
        recipient=Mailbox(_NAMES[language] if name is None else name, "somebody@mail.example"),
        language=language,
    )


def _of_letter(letters: Letters, message: Addressed, template: Compiled, letter: Letter) -> list[Fault]:
    faults = []
    if not letter.subject or len(letter.subject) > _LONGEST_SUBJECT:
        faults.append(_fault("subject", "subject", f"A subject has 1 to {_LONGEST_SUBJECT} characters."))
    if not letter.text.strip():
        faults.append(_fault("text", "empty", "It says nothing."))
    link = letters.link_of(message)
    for part, body in (("text", letter.text), ("html", letter.html)):
        if message.kind in NEEDS_LINK and link not in body:
            faults.append(_fault(part, "link_missing", "This kind is of no use without {{ link }}."))
        if "{{" in body or "{%" in body:
            faults.append(_fault(part, "braces", "Braces are left over: they would be read by customers."))
    faults += Page.faults(letter.html)
    # The quick way that mails are made must write exactly what the slow one does.
    if letters.filled_in(message, _NOW, template) != letter:
        detail = "It decides by a value that can only be written out; asking whether it is there at all is allowed."
        faults.append(_fault("html", "decides_by_value", detail))
    return faults


def _fault(part: str, code: str, detail: str) -> Fault:
    return Fault(part=part, code=code, detail=detail)


class Page(HTMLParser):
    """Whether HTML is what mail clients show well, and stays what it is whatever the values are."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._found: dict[str, str] = {}

    @classmethod
    def faults(cls, html: str) -> list[Fault]:
        """What is wrong with it."""
        page = cls()
        page.feed(html)
        page.close()
        if page._open:
            page._found["unclosed"] = f"<{page._open[-1]}> is never closed."
        return [_fault("html", code, detail) for code, detail in page._found.items()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        if tag in _FORBIDDEN:
            self._found["element"] = f"Mail clients throw away <{tag}>, or the whole mail with it."
        for name, value in attrs:
            if name.startswith("on"):
                self._found["element"] = f"Mail clients do not run {name}."
            if name in _LOADS:
                self._found["loads"] = (
                    "Nothing is loaded from elsewhere: most clients block it, and it tells on readers."
                )
            if name == "href" and not (value or "").lower().startswith(_SCHEMES):
                self._found["href"] = "A link begins with https:, http:, mailto: or tel:, and not with a value."
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Look whether it ends what was begun last."""
        if not self._open or self._open.pop() != tag:
            self._found["unclosed"] = f"</{tag}> ends what was not begun, or leaves something open."
