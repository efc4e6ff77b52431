"""Casework over HTTP: which times are free for a customer, and the one that they choose."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

import httpx
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TAKEN: Final = "urn:otklik:problem:case-slot-taken"

Chosen = Literal["done", "taken", "over"]
"""It is agreed; somebody else was first; nothing can be agreed any more."""


class CaseworkAwayError(Exception):
    """Casework cannot be reached, or has trouble of its own."""


class AgreedCallback(msgspec.Struct, frozen=True):
    """The callback that is agreed."""

    id: UUID
    at: datetime


class Slots(msgspec.Struct, frozen=True):
    """What a customer can choose from."""

    case_id: UUID
    customer_id: str | None
    owner_name: str
    is_running: bool
    zone: str
    callback: AgreedCallback | None
    slots: list[datetime]


class _Problem(msgspec.Struct, frozen=True):
    type: str = ""


class Casework:
    """Asks with notify's key."""

    def __init__(self, url: str, key: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=False,
        )

    async def slots(self, case_id: UUID) -> Slots | None:
        """What the customer of this case can choose from; None where there is no such case. CaseworkAwayError."""
        answer = await self._ask("GET", f"/v1/cases/{case_id}/slots")
        if answer.status_code == _NOT_FOUND:
            return None
        self._must_be_well(answer)
        try:
            return msgspec.json.decode(answer.content, type=Slots)
        except msgspec.MsgspecError as error:
            raise CaseworkAwayError(str(error)) from error

    async def choose(self, case_id: UUID, at: datetime) -> Chosen:
        """Agree on this time, or move what is agreed to it. CaseworkAwayError."""
        return self._chosen(await self._ask("POST", f"/v1/cases/{case_id}/slots", {"at": at.isoformat()}))

    async def cancel(self, case_id: UUID, callback_id: UUID) -> Chosen:
        """The customer wants no call. CaseworkAwayError."""
        path = f"/v1/cases/{case_id}/callbacks/{callback_id}/cancel"
        return self._chosen(await self._ask("POST", path, {"reason": "customer_asked"}))

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise CaseworkAwayError(type(error).__name__) from error

    def _chosen(self, answer: httpx.Response) -> Chosen:
        if answer.status_code == _CONFLICT:
            problem = msgspec.json.decode(answer.content, type=_Problem)
            return "taken" if problem.type == _TAKEN else "over"
        if answer.status_code == _NOT_FOUND:
            return "over"
        self._must_be_well(answer)
        return "done"

    def _must_be_well(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            raise CaseworkAwayError(f"casework answered {answer.status_code}")
