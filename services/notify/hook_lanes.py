"""Whose turn it is: a lane for each subscription, so that a slow receiver delays nobody but itself.

A lane has as many deliveries on their way as its receiver has shown it can take: one more for each that succeeds, half
as many after one that fails, at least one. Of the lanes that have something waiting, the one with the fewest on their
way is next; so a receiver that hangs ends up with one connection, and the others share the rest. Ahead of that, a lane
is given so much to do as it went through in the time of one claim or two, so that little waits long in our hands.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.notify.domain.subscriptions import Subscription, SubscriptionId
    from services.notify.store.hook_deliveries import Claimed

FIRST: Final = 4
"""On their way at once to a receiver of which nothing is known yet."""
MOST_AHEAD: Final = 512


@dataclass(slots=True)
class Lane:
    """One subscription's deliveries in our hands."""

    subscription: Subscription
    most: int
    """On their way at once, at the very most."""
    waiting: deque[Claimed] = field(default_factory=deque)
    on_their_way: int = 0
    allowed: int = FIRST
    went_through: int = 0
    """Since more was claimed."""

    @property
    def room(self) -> int:
        """How many more to claim."""
        wanted = min(MOST_AHEAD, max(self.allowed, 2 * self.went_through))
        return max(0, wanted - len(self.waiting))

    @property
    def is_ready(self) -> bool:
        """Whether its next one may go."""
        return bool(self.waiting) and self.on_their_way < self.allowed

    def back(self, *, well: bool) -> None:
        """One of those on their way is back."""
        self.on_their_way -= 1
        self.went_through += 1
        self.allowed = min(self.most, self.allowed + 1) if well else max(1, self.allowed // 2)


class Lanes:
    """All of them."""

    def __init__(self, *, most: int) -> None:
        """`most`: to one receiver at once."""
        self._most = most
        self._lanes: dict[SubscriptionId, Lane] = {}

    def follow(self, enabled: Iterable[Subscription]) -> list[Claimed]:
        """Have a lane for each enabled subscription, as it is now; what waited in lanes that are closed by this."""
        present = {subscription.id: subscription for subscription in enabled}
        left = [each for id_, lane in self._lanes.items() if id_ not in present for each in lane.waiting]
        for id_ in [id_ for id_ in self._lanes if id_ not in present]:
            del self._lanes[id_]
        for id_, subscription in present.items():
            lane = self._lanes.get(id_)
            if lane is None:
                self._lanes[id_] = Lane(subscription, self._most)
            else:
                lane.subscription = subscription
        return left

    def rooms(self) -> dict[SubscriptionId, int]:
        """How many more to claim for each; counted anew from here."""
        rooms = {id_: room for id_, lane in self._lanes.items() if (room := lane.room) > 0}
        for lane in self._lanes.values():
            lane.went_through = 0
        return rooms

    def add(self, claimed: Iterable[Claimed]) -> None:
        """Have these wait in their lanes."""
        for each in claimed:
            self._lanes[each.subscription_id].waiting.append(each)

    def next(self) -> tuple[Lane, Claimed] | None:
        """What goes next; counted as on its way."""
        ready = [lane for lane in self._lanes.values() if lane.is_ready]
        if not ready:
            return None
        lane = min(ready, key=lambda each: each.on_their_way)
        lane.on_their_way += 1
        return lane, lane.waiting.popleft()

    def take_waiting(self, subscription_id: SubscriptionId | None = None) -> list[Claimed]:
        """Empty a lane, or all, of what has not gone yet."""
        taken: list[Claimed] = []
        for id_, lane in self._lanes.items():
            if subscription_id is None or id_ == subscription_id:
                taken += lane.waiting
                lane.waiting.clear()
        return taken

    @property
    def waiting(self) -> int:
        """How many wait in all lanes."""
        return sum(len(lane.waiting) for lane in self._lanes.values())
