"""Field maps: which question of a source is the score, which the comment, and who the customer is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = Literal["question", "hidden", "path"]
"""`question`: by the question's reference or id. `hidden`: a hidden field, attribute or person property that travels
with the answers. `path`: keys from the root of the payload, joined by dots."""

Field = Literal["score", "comment", "customer", "touchpoint", "language", "claimed_class"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One place in a vendor's payload."""

    place: Place
    name: str

    def __str__(self) -> str:
        return f"{self.place} {self.name!r}"


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Where each field is; None: nowhere."""

    score: Reference | None = None
    comment: Reference | None = None
    customer: Reference | None = None
    touchpoint: Reference | None = None
    language: Reference | None = None
    claimed_class: Reference | None = None

    def over(self, defaults: FieldMap) -> FieldMap:
        """This map, and where it says nothing, what the vendor's shape says by itself."""
        merged = {field.name: getattr(self, field.name) or getattr(defaults, field.name) for field in fields(self)}
        return FieldMap(**merged)

    def as_json(self) -> dict[str, dict[str, str]]:
        """The stored form: `{"score": {"question": "nps"}}`."""
        found: dict[str, dict[str, str]] = {}
        for field in fields(self):
            reference: Reference | None = getattr(self, field.name)
            if reference is not None:
                found[field.name] = {reference.place: reference.name}
        return found

    @classmethod
    def from_json(cls, stored: Mapping[Field, Mapping[Place, str]]) -> FieldMap:
        """The map in its stored form."""
        return cls(**{field: Reference(*next(iter(place.items()))) for field, place in stored.items()})
