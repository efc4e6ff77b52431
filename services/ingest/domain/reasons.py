"""Why a delivery was not understood, or had no effect: a code that stays, what it is about, and its English text.

Logs, the command line and the API tell the text; the portal says the code in its reader's language. No reason repeats
what a customer wrote. A code is never given another meaning: stored rows have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.ingest.domain.fields import Reference

KINDS: Final[Mapping[str, str]] = {
    "null": "null",
    "truth": "true or false",
    "number": "a number",
    "text": "text",
    "list": "a list",
    "object": "an object",
}
"""What a JSON value is."""

TEXTS: Final[Mapping[str, str]] = {
    # The body
    "json-encoding": "The body is not UTF-8 (byte {at}).",
    "json-syntax": "The body is not JSON: {problem} (character {at}).",
    "json-depth": "The body is nested too deeply.",
    "json-digits": "The body holds a number with too many digits.",
    "json-repeated-key": "The body holds an object with a repeated key.",
    "json-constant": "The body holds {name}, which is not JSON.",
    "json-integer": "The body holds an integer beyond 64 bits.",
    "json-number": "The body holds a number beyond double precision.",
    "json-nul": "The body holds a NUL character.",
    "json-surrogate": "The body holds a lone surrogate.",
    "form-encoding": "the form is not UTF-8 in percent-encoding",
    "form-fields": "the form has more than {most} fields",
    "form-none": "the body is no form, or an empty one",
    "form-nul": "the form holds a NUL character",
    "form-brackets": "the form has a field whose brackets do not match",
    "form-depth": "the form is nested too deeply",
    "form-value-and-group": "the form has a field that is both a value and a group",
    "form-repeated-field": "the form has a field twice",
    "form-no-field": "there is no field {name}",
    "multipart-type": "the content type is not multipart/form-data with a boundary",
    "multipart-none": "the body is not the multipart form that its content type says",
    "multipart-end": "the multipart form has no end",
    "multipart-name": "a part of the multipart form has no name",
    "multipart-encoding": "the multipart form is not UTF-8",
    # Its shape
    "payload-kind": "the payload is {kind}, not an object",
    "payload-list": "the payload is a list of {n}, not of one",
    "payload-questions": "this vendor's payload has no question {name}",
    "no-object": "{where} is {kind}, not an object",
    "no-list": "{where} is {kind}, not a list",
    "no-pages": "pages is no list",
    "no-event": "there is no event",
    "no-question": "there is no question",
    "no-values": "there are no values",
    "unknown-event": "{where} is {name}, which is not known",
    "other-survey": "{where} is {name}, and this source's instrument measures {metric}",
    "no-survey-type": "{where} is {kind}, and this source's instrument measures {metric}",
    "form-question": "the form has no question {name}",
    "form-field": "the form has no field {name}",
    "submission-question": "the submission has no question {name}",
    "response-question": "the response has no question {name}",
    "response-column": "the response has no column {name}",
    "answer-type": "the answer to {name} has no type",
    # Its values
    "no-response-id": "there is no response id at {where}",
    "no-answer-time": "there is no time of the answer at {where}",
    "nobody": "nobody is named: there is nothing at {where}",
    "score-unknown": "nobody has said yet which question is the score: the field map has to name it",
    "no-number": "{where} is {kind}, not a number",
    "no-text": "{where} is {kind}, not text",
    "no-time-kind": "{where} is {kind}, not a time",
    "no-time": "{where} is not a time",
    "no-unix-time": "{where} is not a time in unix seconds",
    "no-whole-number": "{where} is not a whole number",
    "text-no-whole-number": "{where} is text that is not a whole number",
    "off-scale": "{where} is {value} outside the scale {lowest} to {highest}",
    "far-off-scale": "{where} is a number far outside the scale {lowest} to {highest}",
    "too-long": "{where} has more than {most} characters",
    "future": "the time of the answer lies in the future",
    # Our own trouble with it
    "reading-failed": "reading it failed: {error}",
    "not-stored": "it could not be stored as it was understood",
    "no-account": "the source has no account at the vendor's API",
    "not-fetched": "the vendor's API did not give the answers: {error}",
    # Of no effect
    "not-answered": "the customer has not answered yet",
    "no-rating": "a message that asks for no rating",
    "address-test": "a test of the address, sent when the hook is set up",
    "disqualified": "the respondent was disqualified",
    "incomplete": "the response is not complete yet",
    "over-quota": "the response is beyond the survey's quota",
    "survey-end": "the end of a survey, which brings no answer",
    "dismissed": "the customer dismissed the survey",
    "announced": "an announcement: the answers are asked for at the vendor",
    "unsubscribed": "an unsubscription: no more messages are wanted",
    "unsubscription-known": "this unsubscription is known",
    "same-delivery": "the same delivery again",
    "same-content": "the same content as revision {revision}",
    "other-body": "another body under the id of delivery {delivery}, which came first",
    "outdated": "outdated: a later revision is known",
    "erased": "erased: the customer asked to be forgotten",
    # Files
    "row-long": "the row has more than {most} bytes",
    "row-quote": "a quoted field is not closed, or not within {most} bytes",
    "row-after-quote": "there is text after the closing quote of a field",
    "row-encoding": "the bytes are not {encoding}",
    "row-columns": "the row has {n} columns, and the first line {most}",
    "row-no-json": "the line is not JSON that can be read",
    "row-no-object": "the line is not a JSON object",
    "row-repeated-key": "the line holds an object with a repeated key",
    "file-wide": "the file is UTF-16 (or no text at all): save it as UTF-8",
    "file-empty": "the file is empty",
    "file-line-ends": "its lines end with CR alone, as on old Macintoshes: save it with other line ends",
    "file-array": "the file is one JSON array: write one object a line (JSON Lines)",
    "file-no-object": "no line of the file is a JSON object",
    "file-first-line": "the first line is not complete, or longer than a line may be",
    "file-first-line-fault": "the first line cannot be read: {problem}",
    "file-separator": "no separator was found: the first line has one column only",
    "file-columns": "the file has {n} columns, more than {most}",
    "file-nul": "the first line holds a NUL character: it is no text",
    "file-times": "its times could have the day or the month first: say which",
    "map-words": "write field=column, where field is one of {fields}",
    "map-twice": "{field} is said twice",
    "map-missing": "which column is {missing}? Say {field}=<column>",
    "map-no-column": "there is no column {name} for {field}",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A field of ours, and where the source has it."""

    field: str
    word: str
    reference: Reference | None = None

    def __str__(self) -> str:
        return self.word if self.reference is None else f"{self.word} ({self.reference})"

    def as_json(self) -> dict[str, str]:
        """The stored form."""
        place = {} if self.reference is None else {"place": self.reference.place, "name": self.reference.name}
        return {"field": self.field, **place}


Where = str | Named
"""A place of the payload: a path, or a field with where the map has it."""
Parameter = str | int | Named | tuple[Where, ...]
"""A reason may be a parameter, too."""


class Reason(str):
    """The English text; with it the code and its parameters, as they are stored."""

    __slots__ = ("code", "parameters")

    code: str
    parameters: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"code": self.code, "parameters": self.parameters}


def because(code: str, **parameters: Parameter) -> Reason:
    """The reason with this code; foreign text among its parameters is quoted by `repr`, and so never unprintable."""
    reason = Reason(TEXTS[code].format(**{name: _shown(name, value) for name, value in parameters.items()}))
    reason.code = code
    reason.parameters = {name: _stored(value) for name, value in parameters.items()}
    return reason


def why_of(reason: str | None) -> dict[str, Any] | None:
    """The stored form of a reason, where it is more than a text."""
    return reason.as_json() if isinstance(reason, Reason) else None


def _shown(name: str, value: Parameter) -> str | int:
    if isinstance(value, tuple):
        return either(value)
    if isinstance(value, Named):
        return str(value)
    return KINDS[str(value)] if name == "kind" else value


def either(places: Sequence[Where]) -> str:
    """Several places, one of which would do."""
    return " or ".join(map(str, places))


def _stored(value: Parameter) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, tuple):
        return [_stored(each) for each in value]
    return value.as_json() if isinstance(value, (Named, Reason)) else value
