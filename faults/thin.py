"""A vendor whose webhooks only announce: the answers stand at its API, some are lost, some taken back.

What stands at the API when everything is at rest is what must be known of its responses everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from faults.deliveries import Content, Delivery, Kind, Sending, some_customer, some_score
from faults.sources import COMMENT, SCORE, THIN

if TYPE_CHECKING:
    from random import Random

    from deploy.local.vendor_apis import VendorApis

SURVEY: Final = "105724755"
TOKEN: Final = "the-token-of-a-trial"  # noqa: S105 - of a server of ours that lives as long as the trial
_ANSWERED: Final = (timedelta(minutes=14), timedelta(minutes=18))
"""Ago: polls leave alone what is younger than ten minutes, and look back for fifteen from what they saw last."""
_CHANGED_FOR: Final = timedelta(minutes=2)
"""So long a response may change, by at most half a minute each time, and stays old enough for polls."""
_CHANGES: Final = 4
_UNHAPPY: Final = 6


@dataclass(slots=True)
class _Held:
    """A response at the vendor's."""

    content: Content
    since: datetime
    changes: int = 0
    announced: bool = True


class ThinVendor:
    """Thinks up what happens to its responses, and announces most of it."""

    def __init__(self, random: Random, run: str, apis: VendorApis) -> None:
        self.contents: Final[dict[str, Content]] = {}
        """Everything that ever stood at the API, as it stands there now; withdrawn where it does no more."""
        self.lost: Final[set[str]] = set()
        """The responses of which nothing was ever announced."""
        self._random = random
        self._run = run
        self._apis = apis
        self._number = 0
        self._held: dict[str, _Held] = {}

    def next(self) -> Sending:
        """A new response, a changed one, or one that is withdrawn; not announced now and then."""
        now = datetime.now(UTC).replace(microsecond=0)
        young = [held for held in self._held.values() if now - held.since < _CHANGED_FOR and held.changes < _CHANGES]
        chance = self._random.random()
        if young and chance < 0.25:  # noqa: PLR2004
            # Rather what somebody was unhappy with: there is a case to be taken back.
            unhappy = [held for held in young if (held.content.score or 0) <= _UNHAPPY]
            return self._withdrawn(self._random.choice(unhappy or young), now)
        if young and chance < 0.5:  # noqa: PLR2004
            return self._changed(self._random.choice(young))
        return self._answered(now)

    def _answered(self, now: datetime) -> Sending:
        shortest, longest = (span.total_seconds() for span in _ANSWERED)
        at = now - timedelta(seconds=self._random.randint(int(shortest), int(longest)))
        id_ = self._id("t")
        # Nobody knows who every other one is: then its case rests on this answer alone, and goes with it.
        customer = some_customer(self._random) if self._random.random() < 0.5 else None  # noqa: PLR2004
        content = Content(id_, some_score(self._random), f"told {id_}", customer, at, at)
        held = _Held(content, now, announced=self._random.random() < 0.8)  # noqa: PLR2004 - the others are lost
        self._held[id_] = held
        if not held.announced:
            self.lost.add(id_)
        self._tell(held)
        announced = (self._announcement(held, "response_completed"),) if held.announced else ()
        return Sending(announced, copies=self._random.choice((1, 1, 2)))

    def _changed(self, held: _Held) -> Sending:
        held.changes += 1
        held.content = replace(
            held.content,
            score=some_score(self._random),
            comment=f"told anew {held.content.response} {held.changes}",
            updated_at=held.content.updated_at + timedelta(seconds=self._random.randint(1, 30)),
        )
        self._tell(held)
        return Sending((self._announcement(held, "response_updated"),) if held.announced else ())

    def _withdrawn(self, held: _Held, now: datetime) -> Sending:
        """It is gone at the API at once, whatever of it is on its way, and nobody ever asks for it again."""
        del self._held[held.content.response]
        del self._apis.responses[held.content.response]
        held.content = replace(held.content, score=None, comment=None, withdrawn=True, updated_at=now)
        self.contents[held.content.response] = held.content
        return Sending((self._announcement(held, "response_deleted"),))

    def _tell(self, held: _Held) -> None:
        content = held.content
        self.contents[content.response] = content
        self._apis.responses[content.response] = {
            "id": content.response,
            "date_created": content.answered_at.isoformat(),
            "date_modified": content.updated_at.isoformat(),
            "response_status": "completed",
            "custom_variables": {} if content.customer is None else {"customer_id": content.customer},
            "pages": [
                {
                    "questions": [
                        {"id": SCORE, "answers": [{"choice_metadata": {"weight": str(content.score)}}]},
                        {"id": COMMENT, "answers": [{"text": content.comment}]},
                    ]
                }
            ],
        }

    def _announcement(self, held: _Held, type_: str) -> Delivery:
        id_ = self._id("event")
        told: dict[str, Any] = {
            "event_type": type_,
            "event_id": id_,
            "object_type": "response",
            "object_id": held.content.response,
            "event_datetime": held.content.updated_at.isoformat(),
        }
        kind: Kind = "withdrawal" if type_ == "response_deleted" else "announcement"
        content = held.content if kind == "withdrawal" else None
        return Delivery(kind, id_, json.dumps(told).encode(), content, THIN)

    def _id(self, what: str) -> str:
        self._number += 1
        return f"{self._run}-{what}-{self._number}"
