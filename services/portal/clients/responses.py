"""Scored responses, as the portal asks scoring for them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person


class Response(msgspec.Struct, frozen=True):
    """One answer with its latest revision."""

    id: str
    program: str
    touchpoint: str | None
    kind: str
    metric: str
    score: int | None
    nps_class: str | None
    comment: str | None
    customer_id: str | None
    channel: str
    tier: str
    themes: list[str]
    urgent: list[str]
    answered_at: datetime


class Responses(msgspec.Struct, frozen=True):
    """A page of them, the latest first."""

    items: list[Response]
    next_cursor: str | None = None


class ScoredResponses:
    """`/v1/responses` of scoring."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, person: Person, params: Mapping[str, str]) -> Responses:
        """Of one customer (`customer_id`), or comments that mention a theme (`theme`)."""
        return await self._service.get("/v1/responses", Responses, person=person, params=params)
