"""What mails say: the templates, filled in for one message in its recipient's language and time zone."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import quote
from uuid import UUID

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import SandboxedEnvironment

from libs.events.contracts.messages import MessageKind
from services.notify.digest_words import in_short, of_message
from services.notify.domain.messages import MessageId
from services.notify.domain.providers import Short
from services.notify.forms import Form
from services.notify.invitations import invitation
from services.notify.mime import Letter, Mailbox, encoded_mail, one_line
from services.notify.templating import CHOICES, TEMPLATES, compiled, plain_line, shipped
from services.notify.texts import LANGUAGES, at, day, moment_in_short, zone

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from libs.events.contracts.customers import Language
    from services.notify.domain.messages import Facts
    from services.notify.links import ConfirmationLinks
    from services.notify.templating import Compiled, Source

_TIERS: Final[dict[Language, dict[str, str]]] = {
    "ru": {"key": "ключевой", "high": "высокая ценность", "standard": "обычный", "low": "низкая ценность"},
    "en": {"key": "key", "high": "high value", "standard": "standard", "low": "low value"},
}
_MOST_FORMS: Final = 512
_LONGEST_SHORT: Final = 300
_ANY_MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)

TemplateKey = tuple["MessageKind", "Language", int | None]
"""A kind, a language and a version; None is the template that comes with this release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """One message, its recipient and what its text needs."""

    id: MessageId
    kind: MessageKind
    case_id: str
    facts: Facts
    recipient: Mailbox
    language: Language
    time_zone: str | None = None
    """The recipient's; the company's where it is not known."""
    version: int | None = None
    """Of its template."""

    @property
    def template(self) -> TemplateKey:
        """By which template it is written."""
        return self.kind, self.language, self.version


def environment() -> SandboxedEnvironment:
    """Templates as files: HTML escapes by itself, a missing value is an error, nothing reaches beyond its values."""
    return SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"], default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


class Letters:
    """Writes the mails of one company."""

    def __init__(self, *, sender: Mailbox, links: ConfirmationLinks, portal_url: str, time_zone: str) -> None:
        self.sender: Final = sender
        self._links = links
        self._portal_url = portal_url.rstrip("/")
        self.time_zone: Final = time_zone
        self._templates: Final[dict[TemplateKey, Compiled]] = {
            (kind, language, None): compiled(shipped(language, kind))
            for language in LANGUAGES
            for kind in get_args(MessageKind)
        }
        self._sources: dict[TemplateKey, Source] = {}
        self._forms: dict[tuple[object, ...], Form] = {}

    def message_id(self, id_: MessageId) -> str:
        """The Message-ID: it follows from the ledger's id, so that every attempt bears the same."""
        return f"<{id_.hex}@{self.sender.address.rpartition('@')[2]}>"

    def unknown(self, keys: Iterable[TemplateKey]) -> set[TemplateKey]:
        """Those of the templates that have to be learned before a mail is written by them."""
        return set(keys) - self._templates.keys() - self._sources.keys()

    def learn(self, key: TemplateKey, source: Source) -> None:
        """Keep a template of the company's; a version never changes once it was published."""
        self._sources[key] = source

    def _template(self, key: TemplateKey) -> Compiled:
        """Compiled where it is needed: what is wrong with one must not be in the way of others."""
        if key not in self._templates:
            self._templates[key] = compiled(self._sources[key])
        return self._templates[key]

    def write(self, message: Addressed, now: datetime, template: Compiled | None = None) -> Letter:
        """The subject and both bodies, as one reads them; by `template` where one is tried that is not in use."""
        return (template or self._template(message.template)).render(self._values(message, now))

    def filled_in(self, message: Addressed, now: datetime, template: Compiled) -> Letter:
        """The same in the way that mails are made, by a form: see `forms`."""
        choices, blanks = self._choices_and_blanks(message, now)
        form = Form(template.render, choices, *blanks)
        subject, plain, html = form.fill(blanks)
        return Letter(subject=subject, text=_decoded(plain), html=_decoded(html), language=form.language)

    def link_of(self, message: Addressed) -> str:
        """The address behind its button."""
        return str(self._values(message, _ANY_MOMENT)["link"])

    def short(self, message: Addressed, now: datetime, *, to: str) -> Short:
        """The same in few words, for where there is no room for a letter."""
        letter = self.write(message, now)
        link = self._values(message, now)["link"]
        said = letter.subject if message.kind != "digest" else in_short(message.facts, message.language)
        text = f"{self.sender.name}: {said}"[:_LONGEST_SHORT] + (f" {link}" if link else "")
        return Short(id=message.id, to=to, text=text, subject=letter.subject, language=message.language)

    def mail(self, message: Addressed, now: datetime) -> bytes:
        """The whole mail."""
        form, blanks = self._form(message, now)
        subject, plain, html = form.fill(blanks)
        return encoded_mail(
            plain,
            html,
            subject=subject,
            language=form.language,
            sender=self.sender,
            recipient=message.recipient,
            message_id=self.message_id(message.id),
            date=now,
            unsubscribe=blanks.get("unsubscribe"),
            calendar=self._invitation(message, now),
        )

    def _form(self, message: Addressed, now: datetime) -> tuple[Form, dict[str, str]]:
        """The form for what this message says, and what its blanks are filled with."""
        choices, blanks = self._choices_and_blanks(message, now)
        key = (message.kind, message.version, *choices.items())
        form = self._forms.get(key)
        if form is None:
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            form = self._forms[key] = Form(self._template(message.template).render, choices, *blanks)
        return form, blanks

    def _choices_and_blanks(self, message: Addressed, now: datetime) -> tuple[dict[str, Any], dict[str, str]]:
        choices: dict[str, Any] = {}
        blanks: dict[str, str] = {}
        for name, value in self._values(message, now).items():
            if value is None or value == "" or name in CHOICES:
                choices[name] = value
            else:
                blanks[name] = str(value)
        return choices, blanks

    def _values(self, message: Addressed, now: datetime) -> dict[str, Any]:
        where = zone(message.time_zone, self.time_zone)
        facts = message.facts
        values: dict[str, Any] = {
            "language": message.language,
            "company": self.sender.name,
            "name": one_line(message.recipient.name),
            "link": f"{self._portal_url}/cases/{quote(message.case_id, safe='')}",
        }
        match message.kind:
            case "confirmation_request":
                values["link"] = self._links.link(message.id)
                values["agent"] = one_line(str(facts["agent"]))
                values["answered_on"] = day(_time(facts, "answered_at"), message.language, where, now=now)
                values["confirm_by"] = day(_time(facts, "confirm_by"), message.language, where, now=now)
            case "new_contact" | "thanks":
                values["link"] = None
                values["contact"] = self.sender.address
                values["agent"] = one_line(str(facts.get("agent") or "")) or None
                answered = facts.get("answered_at")
                said = None if answered is None else day(_time(facts, "answered_at"), message.language, where, now=now)
                values["answered_on"] = said
            case "changes_for_customers" | "changes_for_employees" | "changes_for_partners":
                values |= self._of_campaign(message, where, now)
            case "case_assigned":
                values["score"] = facts["score"]
                values["tier"] = _TIERS[message.language][str(facts["tier"])]
                values["taken_over"] = facts["taken_over"]
                values |= self._due(message, where)
            case "case_reopened":
                values["reason"] = facts["reason"]
            case "case_escalated":
                values["reason"] = facts["reason"]
                values["owner"] = None if facts["owner"] is None else one_line(str(facts["owner"]))
            case "clock_warned" | "clock_breached":
                values |= self._clock(message, where)
            case "task_assigned" | "task_due" | "task_ended":
                values |= self._task(message, where)
            case _:
                values |= self._of_others(message, where)
        return values

    def _of_others(self, message: Addressed, where: tzinfo) -> dict[str, Any]:
        if message.kind == "digest":
            said = of_message(message.facts, message.language)
            return {**said, "link": f"{self._portal_url}/digest", "unsubscribe": self._links.digests.link(message.id)}
        if message.kind == "subscription_disabled":
            return {
                "reason": message.facts["reason"],
                "subscription": one_line(str(message.facts["subscription"])),
                "link": f"{self._portal_url}/subscriptions",
            }
        return self._of_callback(message, where)

    def _clock(self, message: Addressed, where: tzinfo) -> dict[str, Any]:
        facts = message.facts
        values: dict[str, Any] = {"clock": facts["clock"]}
        if message.kind == "clock_breached":
            values |= {"as_owner": facts["as_owner"], "owner": one_line(str(facts["owner"]))}
        return values | self._due(message, where)

    def _task(self, message: Addressed, where: tzinfo) -> dict[str, Any]:
        facts = message.facts
        values: dict[str, Any] = {"owner": None if facts["owner"] is None else one_line(str(facts["owner"]))}
        if message.kind == "task_ended":
            return values | {"reason": facts["reason"]}
        if message.kind == "task_due":
            values |= {"overdue": facts["overdue"], "as_owner": facts["as_owner"]}
        return values | self._due(message, where)

    def _of_campaign(self, message: Addressed, where: tzinfo, now: datetime) -> dict[str, Any]:
        """What a campaign says is the same for all of a language; only how it begins is the reader's own."""
        facts = message.facts
        answered = facts.get("answered_at")
        values: dict[str, Any] = {
            "link": self._links.changes,
            "contact": self.sender.address,
            "headline": _line(str(facts["subject"])),
            "about": _line(str(facts["about"] or "")) or None,
            "learned": paragraphs(str(facts["learned"])),
            "changed": paragraphs(str(facts["changed"])),
            "next_steps": paragraphs(str(facts["next_steps"] or "")),
        }
        if message.kind == "changes_for_customers":
            told = None if answered is None else day(_time(facts, "answered_at"), message.language, where, now=now)
            values["answered_on"] = told
        if message.kind != "changes_for_employees":
            values["unsubscribe"] = self._links.unsubscribe.link(message.id)
        return values

    def _of_callback(self, message: Addressed, where: tzinfo) -> dict[str, Any]:
        facts = message.facts
        agreed = None if facts["at"] is None else _time(facts, "at")
        values: dict[str, Any] = {
            "reason": facts["reason"],
            "agent": one_line(str(facts["agent"] or "")) or None,
            "taken_by": one_line(str(facts.get("taken_by") or "")) or None,
            "at": None if agreed is None else at(agreed, message.language, where),
            "at_short": None if agreed is None else moment_in_short(agreed, message.language, where),
        }
        if message.kind == "callback":
            values["contact"] = self.sender.address
            values["link"] = self._links.bookings.link(MessageId(UUID(str(facts["case_id"]))))
        return values

    def _invitation(self, message: Addressed, now: datetime) -> tuple[str, bytes] | None:
        if message.kind not in ("callback", "callback_duty"):
            return None
        return invitation(
            message.kind,
            message.facts,
            language=message.language,
            link=self.link_of(message),
            sender=self.sender,
            recipient=message.recipient,
            now=now,
        )

    def _due(self, message: Addressed, where: tzinfo) -> dict[str, str]:
        due_at = _time(message.facts, "due_at")
        return {
            "due_at": at(due_at, message.language, where),
            "due_short": moment_in_short(due_at, message.language, where),
        }


@lru_cache(maxsize=64)
def paragraphs(text: str) -> tuple[str, ...]:
    """Paragraphs, each on one line; empty lines part them."""
    return tuple(line for part in re.split(r"\n\s*\n", text) if (line := _line(part)))


_line: Final = lru_cache(maxsize=64)(plain_line)


def _decoded(lines: bytes) -> str:
    return base64.b64decode(lines).decode("utf-8", "replace").replace("\r\n", "\n")


def _time(facts: Facts, name: str) -> datetime:
    return datetime.fromisoformat(str(facts[name]))
