"""The calendar's view of a callback (RFC 5545, RFC 5546), as part of the mail that tells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from icalendar import Alarm, Calendar, Event, vCalAddress, vText

from services.notify.mime import ascii_domain, one_line

if TYPE_CHECKING:
    from libs.events.contracts.customers import Language
    from services.notify.domain.messages import Facts
    from services.notify.mime import Mailbox

Method = Literal["REQUEST", "CANCEL"]

LENGTH: Final = timedelta(minutes=30)
_ALARM: Final = timedelta(minutes=15)
_METHODS: Final[dict[str, Method]] = {
    "agreed": "REQUEST",
    "moved": "REQUEST",
    "handed": "REQUEST",
    "cancelled": "CANCEL",
}
_SUMMARIES: Final[dict[tuple[str, Language], str]] = {
    ("callback", "ru"): "Звонок: {company}",
    ("callback", "en"): "Call: {company}",
    ("callback_duty", "ru"): "Позвонить клиенту",
    ("callback_duty", "en"): "Call the customer",
}


def invitation(
    kind: str, facts: Facts, *, language: Language, link: str, sender: Mailbox, recipient: Mailbox, now: datetime
) -> tuple[Method, bytes] | None:
    """The method and the calendar object; None where the message changes nothing in a calendar.

    The UID is the callback's for its whole life. Nobody is asked to answer: the link is where a time is changed.
    """
    method = _METHODS.get(str(facts["reason"]))
    if method is None:
        return None
    at = datetime.fromisoformat(str(facts["at"]))
    event = Event()
    event.add("uid", f"{facts['callback_id']}@{sender.address.rpartition('@')[2]}")
    event.add("sequence", int(str(facts["sequence"])))
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("dtstart", at)
    event.add("dtend", at + LENGTH)
    event.add("summary", _SUMMARIES[kind, language].format(company=one_line(sender.name)))
    event.add("description", link)
    event.add("status", "CONFIRMED" if method == "REQUEST" else "CANCELLED")
    event.add("transp", "OPAQUE")
    event.add("organizer", _person(sender))
    attendee = _person(recipient)
    attendee.params["ROLE"] = vText("REQ-PARTICIPANT")
    attendee.params["PARTSTAT"] = vText("ACCEPTED")
    attendee.params["RSVP"] = vText("FALSE")
    event.add("attendee", attendee, encode=False)
    if method == "REQUEST" and kind == "callback_duty":
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", _SUMMARIES[kind, language].format(company=""))
        alarm.add("trigger", -_ALARM)
        event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//Otklik//Notify//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    calendar.add_component(event)
    return method, calendar.to_ical()


def _person(mailbox: Mailbox) -> vCalAddress:
    address = vCalAddress(f"mailto:{ascii_domain(mailbox.address)}")
    name = one_line(mailbox.name)
    if name:
        address.params["CN"] = vText(name)
    return address
