"""A known set of signed deliveries, as vendors under a seed send them: good ones, repeated, revised, reordered, bad.

Everything about them but the wall clock follows from the seed. Each is signed anew whenever it is sent, as vendors do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from faults.sources import COMMENT, OURS, PARTS, SCORE

if TYPE_CHECKING:
    from random import Random

    from faults.sources import Source
    from faults.thin import ThinVendor

Kind = Literal["response", "revision", "conflict", "nonsense", "forged", "stale", "part", "announcement", "withdrawal"]

PROGRAM: Final = "faults"
CUSTOMERS: Final = 120
WORDS: Final = ("korvella", "mintrop", "saldine")
"""What themes are told by: words that stand in no other text."""
WITHOUT_CONSENT: Final = 10
"""The first so many customers want no mail."""
Kinds = Literal[
    "response", "revision", "reordered", "repeated", "conflict", "nonsense", "forged", "stale", "parts", "thin"
]
_MIXTURE: Final[tuple[Kinds, ...]] = get_args(Kinds)
_SHARES: Final = (46, 17, 6, 9, 3, 4, 1.5, 1.5, 6, 6)
"""Twenty a second make about one thin one, of the two a second that the vendor's API lets anybody fetch."""
_STALE: Final = timedelta(minutes=9)
_FIRST_CONTACT: Final = timedelta(hours=48)
_WARNED_AFTER: Final = 0.75
_REMEMBERED: Final = 400
"""How many responses may still be revised."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a delivery says of a response. None: nothing about that. Withdrawn: that there is none any more."""

    response: str
    score: int | None
    comment: str | None
    customer: str | None
    answered_at: datetime
    updated_at: datetime
    withdrawn: bool = False

    def body(self) -> bytes:
        """In our own shape, of `services.ingest.vendors.generic`."""
        told: dict[str, Any] = {
            "response_id": self.response,
            "answered_at": self.answered_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "score": self.score,
            "comment": self.comment,
            "touchpoint": "branch",
            "language": "en",
        }
        if self.customer is not None:
            told["customer_id"] = self.customer
        return json.dumps(told, separators=(",", ":")).encode()

    def under(self, earlier: Content) -> Content:
        """What is known when this came after `earlier`: a part adds to it, and anything else takes its place."""
        return replace(
            self,
            score=earlier.score if self.score is None and not self.withdrawn else self.score,
            comment=earlier.comment if self.comment is None and not self.withdrawn else self.comment,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One delivery. `content` None: it says nothing that could be understood."""

    kind: Kind
    id: str
    """The vendor's id of it."""
    body: bytes
    content: Content | None
    source: Source = OURS

    @property
    def hash(self) -> str:
        """The SHA-256 of the body, by which it is found again."""
        return hashlib.sha256(self.body).hexdigest()

    def headers(self, secret: str, now: datetime) -> dict[str, str]:
        """Signed now, as the vendor does; a forged one for another body, a stale one for another time."""
        at = now - _STALE if self.kind == "stale" else now
        signed = self.body + b" " if self.kind == "forged" else self.body
        return self.source.sign(secret, self.id, signed, at)


@dataclass(frozen=True, slots=True)
class Sending:
    """Deliveries that go out together: `copies` of each at once; `then` only when the first was answered."""

    deliveries: tuple[Delivery, ...]
    copies: int = 1
    then: Delivery | None = None


class Vendor:
    """Thinks up what is sent next."""

    def __init__(self, random: Random, run: str, thin: ThinVendor) -> None:
        """`run` begins all ids, so that runs on one broker tell their own apart."""
        self._random = random
        self._thin = thin
        self._run = run
        self._number = 0
        self._latest: dict[str, Content] = {}

    def next(self) -> Sending:
        """What goes out next."""
        kind = self._random.choices(_MIXTURE, _SHARES)[0]
        match kind:
            case "parts":
                return self._parts()
            case "thin":
                return self._thin.next()
            case "conflict":
                first = self._response()
                return Sending((first,), then=Delivery("conflict", first.id, self._content().body(), None))
            case "repeated":
                return Sending((self._response(),), copies=self._random.randint(2, 5))
        return Sending(self._whole(kind))

    def _whole(self, kind: Kinds) -> tuple[Delivery, ...]:
        match kind:
            case "revision" if self._latest:
                return (self._revision(),)
            case "reordered":
                # The score and its later revision at the same moment, in whatever order they arrive.
                first = self._response()
                return tuple(self._random.sample([first, self._revision_of(first.content)], 2))
            case "nonsense" | "forged" | "stale" as bad:
                return (self._bad(bad),)
            case _:
                return (self._response(),)

    def _response(self) -> Delivery:
        content = self._content()
        self._remember(content)
        return Delivery("response", self._id("msg"), content.body(), content)

    def _revision(self) -> Delivery:
        return self._revision_of(self._latest[self._random.choice(list(self._latest))])

    def _revision_of(self, content: Content | None) -> Delivery:
        if content is None:
            raise ValueError("only what says something can be revised")
        revised = Content(
            response=content.response,
            score=self._score() if self._random.random() < 0.5 else content.score,  # noqa: PLR2004
            comment=f"revised {_worded(self._number)}",
            customer=content.customer,
            answered_at=content.answered_at,
            updated_at=content.updated_at + timedelta(seconds=self._random.randint(1, 60)),
        )
        self._remember(revised)
        return Delivery("revision", self._id("msg"), revised.body(), revised)

    def _parts(self) -> Sending:
        """A score, its comment, and now and then another score: each told by itself, in any order, or twice."""
        first = self._content()
        later = first.answered_at + timedelta(seconds=self._random.randint(1, 30))
        told = [replace(first, comment=None), replace(first, score=None, updated_at=later)]
        if self._random.random() < 0.3:  # noqa: PLR2004 - now and then
            told.append(replace(first, score=self._score(), comment=None, updated_at=later + timedelta(seconds=9)))
        parts = [self._part(content) for content in self._random.sample(told, len(told))]
        return Sending(tuple(parts), copies=self._random.choice((1, 1, 2)))

    def _part(self, content: Content) -> Delivery:
        question, answer = (COMMENT, content.comment) if content.score is None else (SCORE, str(content.score))
        answered = {
            "responseUuid": content.response,
            "timestamp": content.updated_at.isoformat(),
            "respondent": {"attributes": {"customer_id": content.customer} if content.customer else []},
            "question": {"id": int(question), "body": "?"},
            "choice": {"body": answer},
        }
        id_ = self._id("part")
        body = json.dumps({"messageId": id_, "event": {"questionAnswered": answered}}).encode()
        return Delivery("part", id_, body, content, PARTS)

    def _bad(self, kind: Kind) -> Delivery:
        if kind == "nonsense":
            return Delivery(kind, self._id("bad"), json.dumps({"thanks": self._id("for")}).encode(), None)
        return Delivery(kind, self._id("bad"), self._content().body(), None)

    def _content(self) -> Content:
        now = datetime.now(UTC).replace(microsecond=0)
        answered_at = now - timedelta(minutes=self._random.randint(1, 30))
        chance = self._random.random()
        if chance < 0.06:  # noqa: PLR2004
            # So long ago that its clock warns, or ends, in a few seconds.
            share = self._random.choice((_WARNED_AFTER, 1.0))
            answered_at = now - _FIRST_CONTACT * share + timedelta(seconds=self._random.randint(3, 25))
        customer = some_customer(self._random)
        return Content(
            self._id("r"), self._score(), f"said {_worded(self._number)}", customer, answered_at, answered_at
        )

    def _score(self) -> int:
        return some_score(self._random)

    def _remember(self, content: Content) -> None:
        self._latest[content.response] = content
        if len(self._latest) > _REMEMBERED:
            del self._latest[next(iter(self._latest))]

    def _id(self, what: str) -> str:
        self._number += 1
        return f"{self._run}-{what}-{self._number}"


def _worded(number: int) -> str:
    """The number, and some of the words."""
    return " ".join([str(number), *(word for place, word in enumerate(WORDS) if number >> place & 1)])


def some_score(random: Random) -> int:
    """As customers give them."""
    return random.choice((0, 2, 4, 6, 7, 8, 9, 10, 10, 9))


def some_customer(random: Random) -> str | None:
    """One of them; nobody knows who every tenth is."""
    return None if random.random() < 0.1 else customer_id(random.randrange(CUSTOMERS))  # noqa: PLR2004


def customer_id(number: int) -> str:
    """The id of a customer."""
    return f"customer-{number}"


def address_of(customer: str) -> str:
    """The address of a customer."""
    return f"{customer}@customers.example"


def value_of(number: int) -> float:
    """What this customer is worth to the company."""
    return float(100_000 * (number % 15))


def wants_mail(number: int) -> bool:
    """Whether this customer agreed to mail."""
    return number >= WITHOUT_CONSENT
