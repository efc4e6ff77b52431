"""Themes of comments, as the portal asks scoring for them: how often, by whom, by which words, and new ones."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from services.portal.domain.measures import Measure
from services.portal.domain.plot import Nps
from services.portal.domain.themes import Mentioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

_TAXONOMY: Final = "/v1/themes"
_SUGGESTIONS: Final = "/v1/theme-suggestions"

Phrases = dict[str, list[str]]
"""By language."""


class _Line(msgspec.Struct, frozen=True):
    kind: str
    theme: str
    name_ru: str
    name_en: str
    retired: bool
    period: str | None
    hidden: bool
    mentions: int | None
    n: int | None
    promoters: int | None
    passives: int | None
    detractors: int | None
    nps: float | None
    ci_low: float | None
    ci_high: float | None


class _Lines(msgspec.Struct, frozen=True):
    items: list[_Line]


class Theme(msgspec.Struct, frozen=True):
    """What comments can be about, and by which words it is told."""

    id: str
    names: dict[str, str]
    patterns: Phrases = {}
    otherwise: Phrases = {}
    unless: Phrases = {}
    retired: bool = False


class Signal(msgspec.Struct, frozen=True):
    """What cannot wait, and by which words it is told."""

    id: str
    patterns: Phrases = {}
    unless: Phrases = {}


class Taxonomy(msgspec.Struct, frozen=True):
    """All themes and signals, with the version and how far stored comments are read by it."""

    themes: list[Theme]
    urgent: list[Signal]
    version: int
    created_at: datetime
    created_by: str
    reading: bool
    comments_read: int
    comments_to_read: int | None

    def theme(self, id_: str) -> Theme | None:
        """The theme with this id, retired or not."""
        return next((theme for theme in self.themes if theme.id == id_), None)

    def signal(self, id_: str) -> Signal | None:
        """The urgent signal with this id."""
        return next((signal for signal in self.urgent if signal.id == id_), None)

    def document(self) -> dict[str, Any]:
        """What would be sent to put this very taxonomy into force."""
        return {"themes": msgspec.to_builtins(self.themes), "urgent": msgspec.to_builtins(self.urgent)}


class Version(msgspec.Struct, frozen=True):
    """A version of the taxonomy, and what it says otherwise than the one before."""

    version: int
    created_at: datetime
    created_by: str
    added: list[str]
    changed: list[str]
    retired: list[str]
    restored: list[str]


class Versions(msgspec.Struct, frozen=True):
    """Some of them, the newest first."""

    items: list[Version]
    next_cursor: str | None = None


class ThemeChange(msgspec.Struct, frozen=True):
    """How often a theme is told, and would be; of an urgent signal as `urgent:<id>`."""

    theme: str
    before: int
    after: int


class CommentChange(msgspec.Struct, frozen=True):
    """A comment of which other things would be told."""

    response_id: str
    excerpt: str
    before: list[str]
    after: list[str]


class DryRun(msgspec.Struct, frozen=True):
    """What a taxonomy would tell of the latest comments."""

    comments: int
    changed: int
    themes: list[ThemeChange]
    examples: list[CommentChange]


class Suggestion(msgspec.Struct, frozen=True):
    """A phrase that many use whose comments have no theme."""

    id: UUID
    language: str
    phrase: str
    comments: int
    examples: list[str]
    found_at: datetime


class Suggestions(msgspec.Struct, frozen=True):
    """All that nobody has decided about."""

    items: list[Suggestion]


class Themes:
    """`/v1/metrics/themes`, `/v1/themes` and `/v1/theme-suggestions` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def mentioned(self, person: Person, params: Mapping[str, str]) -> list[Mentioned]:
        """How often themes are mentioned, by whom; by period where `by` asks for it."""
        answer = await self._service.get("/v1/metrics/themes", _Lines, person=person, params=params)
        return [_mentioned(line) for line in answer.items]

    async def taxonomy(self, person: Person) -> Taxonomy:
        """The taxonomy in force."""
        return await self._service.get(_TAXONOMY, Taxonomy, person=person)

    async def versions(self, person: Person, *, limit: int) -> Versions:
        """Who changed what."""
        params = {"limit": str(limit)}
        return await self._service.get(f"{_TAXONOMY}/versions", Versions, person=person, params=params)

    async def try_out(self, person: Person, document: Mapping[str, object]) -> DryRun:
        """What would be told otherwise of the latest comments."""
        return await self._service.try_out(_TAXONOMY, document, DryRun, person=person)

    async def put(self, person: Person, document: Mapping[str, object], *, command_id: str, version: int) -> None:
        """Put a taxonomy into force, unless another is since `version` was seen."""
        await self._service.put(_TAXONOMY, document, person=person, command_id=command_id, version=version)

    async def suggestions(self, person: Person) -> list[Suggestion]:
        """What could be themes, the most surprising first."""
        return (await self._service.get(_SUGGESTIONS, Suggestions, person=person)).items

    async def accept(
        self, person: Person, suggestion_id: str, theme: str | Mapping[str, object], *, command_id: str
    ) -> None:
        """Make it a phrase of a theme, by its id, or a new theme."""
        path = f"{_SUGGESTIONS}/{suggestion_id}/accept"
        await self._service.post(path, {"theme": theme}, person=person, command_id=command_id, version=None)

    async def dismiss(self, person: Person, suggestion_id: str, *, command_id: str) -> None:
        """Never suggest it again."""
        path = f"{_SUGGESTIONS}/{suggestion_id}/dismiss"
        await self._service.post(path, {}, person=person, command_id=command_id, version=None)


def _mentioned(line: _Line) -> Mentioned:
    classes = None
    if line.promoters is not None and line.passives is not None and line.detractors is not None:
        classes = Nps(
            line.n or 0,
            line.promoters,
            line.passives,
            line.detractors,
            nps=line.nps,
            low=line.ci_low,
            high=line.ci_high,
        )
    measure = Measure(
        "nps",
        line.kind,
        line.period,
        -100,
        100,
        hidden=line.hidden,
        n=line.n or 0,
        value=line.nps,
        low=line.ci_low,
        high=line.ci_high,
        classes=classes,
    )
    return Mentioned(
        theme=line.theme,
        names={"ru": line.name_ru, "en": line.name_en},
        retired=line.retired,
        mentions=line.mentions,
        measure=measure,
    )
