"""Ingest, as the portal asks it: sources and how they are set up, and the deliveries that it kept."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.portal.clients.service import Service
    from services.portal.domain.people import Person

PAGE: Final = 50
BATCH: Final = 100
_AT_ONCE: Final = "200"
_MOST_PAGES: Final = 5
_TOGETHER: Final = 8

FieldMap = dict[str, dict[str, str]]
"""`{"score": {"question": "nps"}}`: each field of ours that is somewhere, and where."""


Why = dict[str, Any]
"""A reason's code and parameters; `texts.reasons` puts it into words."""


class Vendor(msgspec.Struct, frozen=True):
    """A survey vendor that is understood, and what setting it up takes."""

    name: str
    title: str
    authentication: Literal["signature", "token"]
    header: str | None
    secret: Literal["text", "whsec", "token"]
    needs_score: bool
    content_types: list[str]
    api: bool
    api_needs_survey: bool


class Instrument(msgspec.Struct, frozen=True):
    """How the score is asked."""

    metric: str
    question: str
    scale_min: int
    scale_max: int
    kind: str
    channel: str
    sampling: str
    branded: bool
    higher_is_worse: bool = False


class SecretNote(msgspec.Struct, frozen=True):
    """That there is a secret, and until when."""

    created_at: datetime
    valid_until: datetime | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A survey at a vendor, without its secrets."""

    name: str
    webhook: str
    vendor: str
    program: str
    instrument: Instrument
    touchpoint: str | None
    language: str | None
    time_zone: str
    field_map: dict[str, dict[str, str | None] | None]
    enabled: bool
    keep_days: int | None
    networks: list[str]
    secrets: list[SecretNote]
    created_at: datetime
    updated_at: datetime

    @property
    def mapped(self) -> FieldMap:
        """The field map without what it does not say."""
        told = {
            field: {place: name for place, name in reference.items() if name is not None}
            for field, reference in self.field_map.items()
            if reference is not None
        }
        return {field: reference for field, reference in told.items() if reference}

    def body(self) -> dict[str, object]:
        """What a change of it begins with: all that can be put, as it is."""
        return {
            "vendor": self.vendor,
            "program": self.program,
            "instrument": msgspec.to_builtins(self.instrument),
            "touchpoint": self.touchpoint,
            "language": self.language,
            "time_zone": self.time_zone,
            "field_map": map_body(self.mapped),
            "enabled": self.enabled,
            "keep_days": self.keep_days,
            "networks": self.networks,
        }


class Poll(msgspec.Struct, frozen=True):
    """What polls of the vendor's API found."""

    watermark: datetime
    polled_at: datetime | None
    seen: int
    missed: int
    error: str | None


class Account(msgspec.Struct, frozen=True):
    """How the vendor's API is asked; its token is never told."""

    survey: str | None
    base_url: str
    poll_minutes: int | None
    poll: Poll | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A kept delivery, without its bytes."""

    id: str
    source: str
    via: str
    key: str
    conflicting: bool
    size: int
    content_type: str
    received_at: datetime
    status: str
    reason: str | None
    why: Why | None
    response_id: str | None
    event_ids: list[str]
    copies: int
    replayed_at: datetime | None


class WholeDelivery(Delivery, frozen=True, kw_only=True):
    """A kept delivery with what it consisted of. `body` is None where the bytes are no text."""

    headers: dict[str, str]
    body: str | None
    body_base64: str

    @property
    def content(self) -> bytes:
        """The bytes."""
        return b64decode(self.body_base64)


class DeliveryPage(msgspec.Struct, frozen=True):
    """Some deliveries, the newest first."""

    items: list[Delivery]
    next_cursor: str | None = None


class Replayed(msgspec.Struct, frozen=True):
    """What a delivery is after it was understood again."""

    delivery_id: str
    status: str
    reason: str | None


class ReplayedPage(msgspec.Struct, frozen=True):
    """A batch of them, the oldest first."""

    items: list[Replayed]
    next_cursor: str | None = None


class Understood(msgspec.Struct, frozen=True):
    """The response that a delivery would be."""

    vendor_response_id: str
    score: int | None
    comment: str | None
    customer_id: str | None
    touchpoint: str | None
    language: str | None
    answered_at: datetime
    claimed_class: str | None
    withdrawn: bool


class Place(msgspec.Struct, frozen=True):
    """A place of a delivery that a field map can name."""

    reference: dict[str, str | None]
    title: str
    value: str

    @property
    def key(self) -> str:
        """The place as one word: `question:nps`."""
        return key_of(self.reference)


class DryRun(msgspec.Struct, frozen=True):
    """What would be understood of a delivery; `field` is the one that failed. Guesses are for a person to accept."""

    status: Literal["understood", "ignored", "not_understood", "announced", "unsubscribed"]
    reason: str | None
    why: Why | None
    field: str | None
    response: Understood | None
    places: list[Place]
    guessed: dict[str, dict[str, str | None] | None]


class _Sources(msgspec.Struct, frozen=True):
    items: list[Source]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """A source in the list: its newest delivery, and what polls of the vendor's API brought."""

    source: Source
    newest: Delivery | None
    account: Account | None


def key_of(reference: Mapping[str, str | None]) -> str:
    """A reference as one word."""
    return next((f"{place}:{name}" for place, name in reference.items() if name is not None), "")


def map_body(mapped: FieldMap) -> dict[str, Any]:
    """The map as ingest takes it: a score that nobody knows yet is said to be unknown."""
    return {"score": None, **mapped}


class Ingest:
    """The ingest service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def service(self) -> Service:
        """The connections."""
        return self._service

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def vendors(self, person: Person) -> dict[str, Vendor]:
        """Those that are understood, by name."""
        told = await self._service.get("/v1/vendors", list[Vendor], person=person)
        return {vendor.name: vendor for vendor in told}

    async def sources(self, person: Person) -> list[Source]:
        """All of them, by name."""
        found: list[Source] = []
        params = {"limit": _AT_ONCE}
        for _ in range(_MOST_PAGES):
            page = await self._service.get("/v1/sources", _Sources, person=person, params=params)
            found += page.items
            if page.next_cursor is None:
                break
            params = {"limit": _AT_ONCE, "cursor": page.next_cursor}
        return found

    async def overview(self, person: Person, *, with_api: frozenset[str]) -> list[Overview]:
        """All sources, each with its newest delivery and its polls, a few questions at a time."""
        places = asyncio.Semaphore(_TOGETHER)

        async def look(source: Source) -> Overview:
            async with places:
                newest = await self.deliveries(person, {"source": source.name}, limit=1)
                account = await self.account(person, source.name) if source.vendor in with_api else None
            return Overview(source, next(iter(newest.items), None), account)

        return list(await asyncio.gather(*(look(source) for source in await self.sources(person))))

    async def source(self, person: Person, name: str) -> tuple[Source, int]:
        """One source, and its version."""
        return await self._service.get_version(f"/v1/sources/{name}", Source, person=person)

    async def put_source(
        self, person: Person, name: str, body: Mapping[str, object], *, command_id: str, version: int | None
    ) -> None:
        """Change what the person has seen at `version`; without one make it, where there is none."""
        await self._service.put(
            f"/v1/sources/{name}", body, person=person, command_id=command_id, version=version, only_new=version is None
        )

    async def delete_source(self, person: Person, name: str, *, command_id: str) -> None:
        """Take it out of use; what it delivered stays."""
        await self._service.delete(f"/v1/sources/{name}", person=person, command_id=command_id)

    async def rotate_secret(self, person: Person, name: str, secret: str, *, command_id: str) -> None:
        """Give it another secret; the present one stays valid for a day."""
        body = {"secret": secret}
        await self._service.post(
            f"/v1/sources/{name}/secrets", body, person=person, command_id=command_id, version=None
        )

    async def account(self, person: Person, name: str) -> Account | None:
        """Its account at the vendor's API, if it has one."""
        return await self._service.find(f"/v1/sources/{name}/account", Account, person=person)

    async def put_account(self, person: Person, name: str, body: Mapping[str, object], *, command_id: str) -> None:
        """Set it, token and all."""
        await self._service.put(f"/v1/sources/{name}/account", body, person=person, command_id=command_id, version=None)

    async def delete_account(self, person: Person, name: str, *, command_id: str) -> None:
        """Forget it, token and all."""
        await self._service.delete(f"/v1/sources/{name}/account", person=person, command_id=command_id)

    async def dry_run(self, person: Person, body: Mapping[str, object]) -> DryRun:
        """Try a source, as it is or might be, on a delivery."""
        return await self._service.ask("/v1/dry-runs", body, DryRun, person=person)

    async def deliveries(
        self, person: Person, filters: Mapping[str, str], *, limit: int = PAGE, cursor: str | None = None
    ) -> DeliveryPage:
        """A page of those that fit, the newest first."""
        params = {**filters, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return await self._service.get("/v1/deliveries", DeliveryPage, person=person, params=params)

    async def delivery(self, person: Person, id_: str) -> WholeDelivery:
        """One of them with its bytes."""
        return await self._service.get(f"/v1/deliveries/{id_}", WholeDelivery, person=person)

    async def replay(self, person: Person, id_: str) -> Replayed:
        """Understand it again, by today's field map."""
        return await self._service.ask(f"/v1/deliveries/{id_}/replay", None, Replayed, person=person)

    async def replay_batch(self, person: Person, source: str, *, cursor: str | None) -> ReplayedPage:
        """Understand the oldest quarantined deliveries of a source again, or those after `cursor`."""
        body = {"status": "quarantined", "source": source, "limit": BATCH, "cursor": cursor}
        return await self._service.ask("/v1/deliveries/replay", body, ReplayedPage, person=person)


def counted(replayed: Sequence[Replayed], status: str) -> int:
    """How many of them are now in that state."""
    return sum(one.status == status for one in replayed)
