"""Files come to a case and go: what the timeline says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from services.casework.domain.cases import decided

if TYPE_CHECKING:
    from uuid import UUID

    from services.casework.domain.attachments import RemovalReason
    from services.casework.domain.cases import Case, Decision
    from services.casework.domain.timeline import Cause, Details


def attach(case: Case, attachment_id: UUID, name: str, media_type: str, size: int, cause: Cause) -> Decision:
    """A file of so many bytes is the case's now; also of a closed one. Its name is somebody's own words."""
    details: Details = {"attachment_id": str(attachment_id), "media_type": media_type, "bytes": size}
    return decided(replace(case, version=case.version + 1), cause, "attached", details=details, text=name)


def detach(case: Case, attachment_id: UUID, name: str, reason: RemovalReason, cause: Cause) -> Decision:
    """A file is the case's no more; that it was stays on the timeline."""
    details: Details = {"attachment_id": str(attachment_id), "reason": reason}
    return decided(replace(case, version=case.version + 1), cause, "detached", details=details, text=name)
