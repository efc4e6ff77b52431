"""`/v1/sources`: surveys at vendors, and the secrets by which their deliveries are known."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from fastapi import Request, Response

from libs.events.contracts.responses import Instrument
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, OnlyIfNew, changed, etag, there_already
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import FieldError, Problem, of_status
from libs.webapi.strict_json import Router
from services.ingest.api.access import SourceName, SourcesReader, SourcesWriter, book_of
from services.ingest.api.models import (
    FieldMapBody,
    InstrumentOut,
    SecretBody,
    SecretOut,
    SecretsOut,
    SourceBody,
    SourceOut,
)
from services.ingest.domain.fields import FieldMap
from services.ingest.domain.signature import UnusableSecret, secret_of
from services.ingest.domain.sources import MOST_SECRETS, Source, network_of
from services.ingest.store import sources
from services.ingest.store.sources import SourceNote
from services.ingest.vendors import VENDORS
from services.ingest.vendors.description import Vendor

router: Final = Router(prefix="/v1/sources", tags=["sources"])

_OVERLAP: Final = timedelta(days=1)
_LONGEST_OVERLAP: Final = timedelta(days=30)


@router.get("", summary="All sources")
async def list_sources(
    request: Request,
    principal: SourcesReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SourceOut]:
    """By name."""
    after = None if cursor is None else decode_cursor(cursor, str)
    async with database_of(request).reading() as tx:
        found = await sources.notes(tx, after=after, limit=limit + 1)
    more = len(found) > limit
    return Page(
        items=[_out(note) for note in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].source.name) if more else None,
    )


@router.get("/{source}", summary="One source")
async def get_source(
    request: Request,
    response: Response,
    principal: SourcesReader,  # noqa: ARG001 - the rule
    source: SourceName,
) -> SourceOut:
    """Its version as `ETag`."""
    async with database_of(request).reading() as tx:
        note = await sources.note(tx, source)
    if note is None:
        raise _no_source()
    response.headers["ETag"] = etag(note.source.version)
    return _out(note)


@router.put(
    "/{source}",
    responses={200: {"model": SourceOut}, 201: {"model": SourceOut}},
    openapi_extra=REPEATABLE,
    summary="Create or change a source",
)
async def put_source(
    request: Request, principal: SourcesWriter, source: SourceName, body: SourceBody, seen: IfMatch, only_new: OnlyIfNew
) -> Response:
    """What the vendor sends from now on is understood by this; what was understood before stays as it is."""
    vendor = vendor_of(body)
    wanted = source_of(source, body)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        version = await sources.put(tx, wanted, expected=seen, only_new=only_new)
        if version is None:
            held = await sources.hold(tx, source)
            there = 0 if held is None else held[1]
            raise there_already(there) if only_new else changed(there)
        await _put_secret(tx, source, vendor, body.secret)
        note = await sources.note(tx, source)
        assert note is not None  # noqa: S101 - it was written in this transaction
        return (201 if version == 1 else 200), _out(note), {"ETag": etag(version)}

    answer = await once(database_of(request), request, principal, command)
    book_of(request).forget()
    return answer


@router.delete("/{source}", status_code=204, openapi_extra=REPEATABLE, summary="Take a source out of use")
async def delete_source(request: Request, principal: SourcesWriter, source: SourceName) -> Response:
    """Its secrets are forgotten and its webhook is refused; what it delivered stays."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        if not await sources.delete(tx, source):
            raise _no_source()
        return 204, None, {}

    answer = await once(database_of(request), request, principal, command)
    book_of(request).forget()
    return answer


@router.post(
    "/{source}/secrets",
    status_code=201,
    response_model=SecretsOut,
    openapi_extra=REPEATABLE,
    summary="Rotate a source's secret",
)
async def rotate_secret(request: Request, principal: SourcesWriter, source: SourceName, body: SecretBody) -> Response:
    """Both secrets are valid until the old one's time has passed. At most two are valid at once."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        held = await sources.hold(tx, source)
        if held is None:
            raise _no_source()
        _check_secret(VENDORS[held[0]], body.secret)
        until = body.old_valid_until or tx.now + _OVERLAP
        if until.tzinfo is None or not tx.now <= until <= tx.now + _LONGEST_OVERLAP:
            raise _invalid("/old_valid_until", "is not between now and 30 days from now")
        active = await sources.active_secrets(tx, source)
        if body.secret not in active:
            if len(active) >= MOST_SECRETS:
                raise Problem(
                    409,
                    "secret-rotation-in-hand",
                    "Two secrets are valid already",
                    detail="Wait until the older one is not, or put the source with the only secret it is to have.",
                )
            await sources.rotate_secret(tx, source, id_=uuid4(), secret=body.secret, old_until=until)
        note = await sources.note(tx, source)
        assert note is not None  # noqa: S101 - it is held
        return 201, SecretsOut(secrets=_out(note).secrets), {}

    answer = await once(database_of(request), request, principal, command)
    book_of(request).forget()
    return answer


async def _put_secret(tx: Tx, source: str, vendor: Vendor, secret: str | None) -> None:
    active = await sources.active_secrets(tx, source)
    if secret is None:
        if not active:
            raise _invalid("/secret", "is needed: without one anybody could send")
        for text in active:  # of another vendor, perhaps
            _check_secret(vendor, text)
    else:
        _check_secret(vendor, secret)
        if secret not in active:
            await sources.replace_secrets(tx, source, id_=uuid4(), secret=secret)


def _check_secret(vendor: Vendor, secret: str) -> None:
    try:
        secret_of(vendor.authentication, secret)
    except UnusableSecret as error:
        raise _invalid("/secret", str(error)) from error


def vendor_of(body: SourceBody, *, needs_score: bool = True) -> Vendor:
    """The vendor that `body` names; a problem where there is none, or its map lacks the score that it needs.

    A score that is null is not forgotten but not known yet: until it is, deliveries are kept and not understood.
    """
    vendor = VENDORS.get(body.vendor)
    if vendor is None:
        raise _invalid("/vendor", f"is none of {', '.join(sorted(VENDORS))}")
    told = vendor.fetched or vendor
    unsaid = body.field_map.score is None and "score" not in body.field_map.model_fields_set
    if needs_score and unsaid and told.fields.score is None:
        raise _invalid("/field_map/score", f"is needed: {vendor.title} does not say which question is the score")
    return vendor


def source_of(name: str, body: SourceBody) -> Source:
    """The source as `body` tells it."""
    return Source(
        name=name,
        vendor=body.vendor,
        program=body.program,
        instrument=msgspec.convert(body.instrument.model_dump(), Instrument),
        touchpoint=body.touchpoint,
        language=body.language,
        time_zone=body.time_zone,
        fields=FieldMap.from_json(body.field_map.model_dump(exclude_none=True)),  # type: ignore[arg-type] # its fields
        enabled=body.enabled,
        version=0,
        keep_days=body.keep_days,
        networks=tuple(dict.fromkeys(map(network_of, body.networks))),
    )


def _out(note: SourceNote) -> SourceOut:
    source = note.source
    return SourceOut(
        name=source.name,
        webhook=f"/v1/webhooks/{source.name}",
        vendor=source.vendor,
        program=source.program,
        instrument=InstrumentOut.model_validate(msgspec.to_builtins(source.instrument)),
        touchpoint=source.touchpoint,
        language=source.language,
        time_zone=source.time_zone,
        field_map=FieldMapBody.model_validate(source.fields.as_json()),
        enabled=source.enabled,
        keep_days=source.keep_days,
        networks=[str(network) for network in source.networks],
        secrets=[
            SecretOut(id=secret.id, created_at=secret.created_at, valid_until=secret.valid_until)
            for secret in note.secrets
        ],
        created_at=note.created_at,
        updated_at=note.updated_at,
    )


def _no_source() -> Problem:
    return of_status(404, detail="There is no such source.")


def _invalid(pointer: str, detail: str) -> Problem:
    error: FieldError = {"pointer": pointer, "detail": detail}
    return Problem(422, "invalid", "The request is not valid", errors=[error])
