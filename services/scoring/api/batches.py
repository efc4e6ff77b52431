"""Batches whose items are accepted or refused each for itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import ValidationError

from libs.webapi.problem import invalid
from services.scoring.api.bodies import Identified, ItemError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BREATH: Final = 250


ItemT = TypeVar("ItemT", bound=Identified)


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that cannot be tried: its id, where it has one, and what is wrong."""

    id: str | None
    errors: list[ItemError]


@dataclass(frozen=True, slots=True)
class SortedOut(Generic[ItemT]):
    """The items of a batch by their index: those that can be tried, and those that cannot."""

    good: dict[int, ItemT]
    refused: dict[int, Refused]


async def sorted_out(items: Sequence[Any], item: type[ItemT]) -> SortedOut[ItemT]:
    """Read each item; other requests get their turn in between. An id counts once in a batch."""
    good: dict[int, ItemT] = {}
    refused: dict[int, Refused] = {}
    ids: set[str] = set()
    for index, raw in enumerate(items):
        if index % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        given = raw.get("id") if isinstance(raw, dict) else None
        id_ = given if isinstance(given, str) else None
        try:
            read = item.model_validate(raw)
        except ValidationError as error:
            placed = ({**each, "loc": ("body", "items", index, *each["loc"])} for each in error.errors())
            errors = [ItemError(pointer=each["pointer"], detail=each["detail"]) for each in invalid(placed).errors]
            refused[index] = Refused(id_, errors)
            continue
        if read.id in ids:
            refused[index] = Refused(id_, [ItemError(pointer=f"/items/{index}/id", detail="is in this batch already")])
            continue
        ids.add(read.id)
        good[index] = read
    return SortedOut(good, refused)
