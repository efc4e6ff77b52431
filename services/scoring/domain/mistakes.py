"""What is wrong with a document that people edit: where, as a code that stays, and in English words.

The API tells both; pages say the code in their reader's language. A code is never given another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS: Final[Mapping[str, str]] = {
    "not-an-object": "is not an object",
    "not-a-list": "is not a list of at most {most}",
    "not-known-here": "is not known here",
    "none-of": "is none of {known}",
    # Segment rules
    "too-many-shares": "has more than {most} different conditions of top and bottom",
    "never-reached": "is never reached: rule {rule} matches first",
    "too-many-programs": "is not an object of at most {most} programs",
    "no-program-name": "is no name of 1 to {most} letters",
    "no-weight": "is not a number from 0 to {most}",
    "no-days": "is not a whole number from 1 to {most}",
    "nobody-weighs": "gives nobody's answer a weight",
    "no-condition": "needs a condition; for everybody else there is the default",
    "no-field": "is none of {known}, attributes.<name>, account.<name>",
    "no-share": "is no share between 0 and 1: 0.1 is a tenth",
    "no-value": "needs at least one value",
    "no-number": "is not a number up to {most}",
    "no-text": "is no text of at most {most}",
    "no-simple-value": "is no text of at most {most}, no number, and not true or false",
    # The taxonomy of comments
    "no-id": "is no id: small Latin letters, digits and _, at most {most}, a letter first",
    "repeated-theme": "is the id of an earlier theme",
    "repeated-signal": "is the id of an earlier signal",
    "no-name": "is no name of at most {most} characters",
    "no-pattern-text": "is no text",
    "no-truth": "is neither true nor false",
    "pattern-length": "has more than {most} characters",
    "pattern-two-orders": "has more than one &",
    "pattern-distance": "~ and & stand between words",
    "pattern-ways": "can be read in more than {most} ways",
    "pattern-end": "is empty, or ends where a word should follow",
    "pattern-words": "has more than {most} words",
    "pattern-choices": "has more than {most} choices in one place",
    "pattern-word": "“{written}” is no word of at most {most} letters",
    "pattern-beginning": "“{written}”: a beginning has at least {least} letters, and no =",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something cannot be, as a code with what it is about."""

    code: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In English."""
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in self.parameters.items()}
        return TEXTS[self.code].format(**shown)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A reason and where it lies: `pointer` is a JSON pointer into the document."""

    pointer: str
    reason: Reason

    @property
    def detail(self) -> str:
        """In English."""
        return self.reason.text


def mistake(pointer: str, code: str, **parameters: Any) -> Mistake:  # noqa: ANN401 - what its text names
    """What is wrong at a place."""
    return Mistake(pointer, Reason(code, parameters))
