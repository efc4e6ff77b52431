"""Instruments and claimed classes, as the portal asks scoring for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Version(msgspec.Struct, frozen=True):
    """One version of how a touchpoint of a program asks."""

    id: UUID
    version: int
    program: str
    touchpoint: str | None
    metric: str
    question: str
    scale_min: int
    scale_max: int
    higher_is_worse: bool
    kind: str
    channel: str
    sampling: str
    branded: bool
    first_answered_at: datetime
    n: int
    same_as: int | None
    revision: int
    """Counts what people say about it."""


class Versions(msgspec.Struct, frozen=True):
    """A page of versions."""

    items: list[Version]
    next_cursor: str | None = None


class Mismatch(msgspec.Struct, frozen=True):
    """What a source claims about answers whose scores say something else."""

    source: str
    claimed_class: str
    nps_class: str | None
    n: int
    last_answered_at: datetime


class Mismatches(msgspec.Struct, frozen=True):
    """The most frequent ones first; `n` counts them all."""

    n: int
    items: list[Mismatch]


class Instruments:
    """`/v1/instruments` and `/v1/class-mismatches` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, person: Person, params: Mapping[str, str]) -> Versions:
        """All versions of all instruments, in the order of programme, touchpoint and version."""
        return await self._service.get("/v1/instruments", Versions, person=person, params=params)

    async def mismatches(self, person: Person) -> Mismatches:
        """Claimed classes that contradict the score."""
        return await self._service.get("/v1/class-mismatches", Mismatches, person=person)

    async def join(
        self,
        person: Person,
        instrument_id: str,
        version: int,
        same_as: int | None,
        *,
        command_id: str,
        revision: int | None,
    ) -> None:
        """Say that a version is the same question as another, None parts them; unless others spoke since `revision`."""
        path = f"/v1/instruments/{instrument_id}/versions/{version}"
        await self._service.put(path, {"same_as": same_as}, person=person, command_id=command_id, version=revision)
