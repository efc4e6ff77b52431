"""`/u/d/{token}`: no more digests of a kind; taken back on the same page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.webapi.problem import of_status
from services.notify.api.choices import ChoicePages
from services.notify.store import digests
from services.notify.store.digests import Reader

if TYPE_CHECKING:
    from starlette.responses import Response

    from libs.events.contracts.customers import Language
    from libs.events.database import Tx
    from services.notify.domain.messages import MessageId

PREFIX: Final = "/u/d/"


class DigestChoicePages(ChoicePages[Reader]):
    """What an employee gets of the digests."""

    async def reader(self, tx: Tx, message_id: MessageId) -> Reader:
        """Who got the digest, and of which kind."""
        reader = await digests.reader(tx, message_id)
        if reader is None:
            raise of_status(404)
        return reader

    async def wanted(self, tx: Tx, reader: Reader) -> bool:
        """Whether they get digests of this kind."""
        return reader.kind not in await digests.refused(tx, reader.employee_id)

    async def choose(self, tx: Tx, reader: Reader, *, wanted: bool) -> None:
        """Digests of this kind, or none; the other kind stays as it is."""
        await digests.choose(tx, reader.employee_id, reader.kind, wanted=wanted)

    def page(self, language: Language, reader: Reader, *, wanted: bool) -> Response:
        """With the kind that it is about."""
        return self.frame.page(language, "digest_choice", wanted=wanted, period=reader.kind)
