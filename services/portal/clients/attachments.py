"""Files of cases, as casework keeps them: sent and fetched piece by piece, never held here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from services.portal.clients.contact import Speaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from services.portal.clients.service import Download, Service
    from services.portal.domain.people import Person

_LONGEST_NAME = 250
"""Characters: percent-encoded they fit into what casework takes as a header."""


class Attachment(msgspec.Struct, frozen=True):
    """A file of a case; its name is safe to save it under."""

    id: str
    name: str
    size: int
    added_at: datetime
    by: Speaker


class Attachments(msgspec.Struct, frozen=True):
    """The files of a case, the earliest first, and what fits; None where files are not kept."""

    items: list[Attachment]
    most_bytes: int | None
    most_files: int | None


class CaseFiles:
    """Reads, adds and takes away files of cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def of_case(self, person: Person, case_id: str) -> Attachments:
        """All that the case has."""
        return await self._service.get(f"/v1/cases/{case_id}/attachments", Attachments, person=person)

    async def attach(
        self,
        person: Person,
        case_id: str,
        pieces: AsyncIterable[bytes],
        *,
        name: str,
        media_type: str,
        command_id: str,
    ) -> None:
        """Hand a file on as it comes. An error of `pieces` breaks it off, and nothing is kept."""
        headers = {
            "Otklik-File-Name": quote(name[-_LONGEST_NAME:], safe=""),
            # Only of tables it is believed, and only where the bytes are text.
            "Content-Type": "text/csv" if media_type == "text/csv" else "application/octet-stream",
        }
        await self._service.upload(
            f"/v1/cases/{case_id}/attachments", pieces, person=person, command_id=command_id, headers=headers
        )

    async def fetch(self, person: Person, attachment_id: str) -> Download:
        """One file as it arrives, with the headers that make it safe."""
        return await self._service.download(f"/v1/attachments/{attachment_id}", person=person)

    async def take_away(
        self, person: Person, attachment_id: str, reason: str, *, command_id: str, version: int | None
    ) -> None:
        """It is the case's no more, which was seen at `version`."""
        await self._service.delete(
            f"/v1/attachments/{attachment_id}",
            person=person,
            command_id=command_id,
            version=version,
            params={"reason": reason},
        )
