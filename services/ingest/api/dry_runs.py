"""`/v1/dry-runs`: what would be understood of a delivery by a field map, before it is used; and `/v1/vendors`."""

from typing import Annotated, Any, Final, Literal, Self, assert_never
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.webapi.app import database_of
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.ingest.api.access import DeliveriesReader, SourcesReader
from services.ingest.api.models import FieldMapBody, ReferenceBody, SourceBody, WhyOut
from services.ingest.api.sources import source_of, vendor_of
from services.ingest.clients import APIS
from services.ingest.domain.deliveries import (
    ANNOUNCED,
    UNSUBSCRIBED,
    Announced,
    Ignored,
    NotUnderstood,
    Understood,
    Verdict,
)
from services.ingest.domain.fields import FieldMap, Reference
from services.ingest.domain.guesses import Candidate, guess
from services.ingest.domain.reasons import why_of
from services.ingest.domain.responses import Response
from services.ingest.domain.signature import SharedToken, Signature
from services.ingest.domain.unsubscriptions import Unsubscribed
from services.ingest.domain.values import Unclear
from services.ingest.imports import vendor_of_row
from services.ingest.store import kept
from services.ingest.vendors import VENDORS
from services.ingest.vendors.candidates import candidates, payload_of
from services.ingest.vendors.description import Vendor
from services.ingest.vendors.generic import OWN_SHAPE
from services.ingest.vendors.understanding import Reader

router: Final = Router(tags=["sources"])

_LONGEST_BODY: Final = 500_000
_LONGEST_PREVIEW: Final = 200


class DryRunBody(SourceBody):
    """A source as it is or might be, and a delivery: one that is kept, or pasted as text."""

    model_config = ConfigDict(extra="forbid")

    delivery_id: Annotated[UUID | None, Field(description="A kept delivery.")] = None
    body: Annotated[str | None, Field(max_length=_LONGEST_BODY, description="Or the text of one.")] = None
    content_type: Annotated[str, Field(max_length=200, description="Of `body`.")] = "application/json"

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.delivery_id is None) == (self.body is None):
            raise ValueError("name exactly one of delivery_id and body")
        return self


class ResponseOut(BaseModel):
    """The response that would be published."""

    vendor_response_id: str
    score: int | None
    comment: str | None
    customer_id: str | None
    touchpoint: str | None
    language: str | None
    answered_at: str
    revised_at: str | None
    claimed_class: str | None
    withdrawn: bool


class PlaceOut(BaseModel):
    """A place of the payload that a field map can name, with what was asked and what is there."""

    reference: ReferenceBody
    title: str
    value: str


class DryRunOut(BaseModel):
    """What would be understood. `field` is the field of the map that failed. Guesses are for a person to accept."""

    status: Literal["understood", "ignored", "not_understood", "announced", "unsubscribed"]
    reason: str | None
    why: WhyOut | None
    field: str | None
    response: ResponseOut | None
    places: list[PlaceOut]
    guessed: FieldMapBody
    guessed_question: Annotated[str | None, Field(description="The words of the question that looks like the score.")]


class VendorOut(BaseModel):
    """A vendor that is understood, and what setting it up takes."""

    name: str
    title: str
    authentication: Literal["signature", "token"]
    header: Annotated[str | None, Field(description="Where the signature or the token is; null: in the body.")]
    secret: Annotated[
        Literal["text", "whsec", "token"],
        Field(description="The vendor's own, one of Standard Webhooks, or a token that we issue."),
    ]
    needs_score: Annotated[bool, Field(description="Whether the field map has to say which question is the score.")]
    content_types: list[str]
    api: Annotated[bool, Field(description="Whether answers can be asked for at the vendor's API.")]
    api_needs_survey: Annotated[bool, Field(description="Whether that API is asked by survey.")]


@router.get("/v1/vendors", summary="The vendors that are understood")
async def list_vendors(principal: SourcesReader) -> list[VendorOut]:  # noqa: ARG001 - the rule
    """By name."""
    return [_vendor_out(VENDORS[name]) for name in sorted(VENDORS)]


@router.post("/v1/dry-runs", summary="Try a field map on a delivery")
async def dry_run(
    request: Request,
    principal: SourcesReader,  # noqa: ARG001 - the rule
    deliveries: DeliveriesReader,  # noqa: ARG001 - it shows what customers wrote
    body: DryRunBody,
) -> DryRunOut:
    """Nothing is kept and nothing is published. The score may be left out of the map: it is guessed."""
    vendor = vendor_of(body, needs_score=False)
    now = database_of(request).clock()
    if body.delivery_id is not None:
        async with database_of(request).reading() as tx:
            found = await kept.contents(tx, body.delivery_id)
            row = None if found is None else await vendor_of_row(tx, found)
        if found is None:
            raise of_status(404, detail="There is no such delivery.")
        raw, content_type, now = found.body, found.delivery.content_type, found.delivery.received_at
        if row is not None:
            vendor, body = row, body.model_copy(update={"field_map": FieldMapBody()})
        elif found.delivery.via != "webhook":
            vendor = OWN_SHAPE if found.delivery.via == "rest" else vendor.fetched or vendor
    else:
        raw, content_type = (body.body or "").encode(), body.content_type
    source = source_of("dry-run", body)
    _, verdict = Reader(vendor, source).read(raw, now, content_type)
    try:
        places = candidates(vendor, payload_of(vendor, raw, content_type))
    except Unclear:
        places = []  # the verdict says why
    guessed = guess(places)
    shown: dict[str, Any] = {
        "places": [_place(place) for place in places],
        "guessed": _map_body(guessed),
        "guessed_question": next((each.title or None for each in places if each.reference == guessed.score), None),
    }
    told = _verdict_out(verdict)
    return DryRunOut.model_validate({**told, "why": why_of(told["reason"]), **shown})


def _verdict_out(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {"reason": None, "field": None, "response": None}
    match verdict:
        case Understood(response=response):
            return told | {"status": "understood", "response": response_out(response)}
        case Unsubscribed():
            return told | {"status": "unsubscribed", "reason": UNSUBSCRIBED}
        case Ignored(reason=reason):
            return told | {"status": "ignored", "reason": reason}
        case NotUnderstood(reason=reason, field=field):
            return told | {"status": "not_understood", "reason": reason, "field": field}
        case Announced():
            return told | {"status": "announced", "reason": ANNOUNCED}
        case _:
            assert_never(verdict)


def _vendor_out(vendor: Vendor) -> VendorOut:
    match vendor.authentication:
        case SharedToken(header=header):
            kind, secret = "token", "token"
        case Signature(header=header, key=secret):
            kind = "signature"
    return VendorOut.model_validate(
        {
            "name": vendor.name,
            "title": vendor.title,
            "authentication": kind,
            "header": header,
            "secret": secret,
            "needs_score": (vendor.fetched or vendor).fields.score is None,
            "content_types": sorted(vendor.content_types),
            "api": vendor.name in APIS,
            "api_needs_survey": vendor.name in APIS and APIS[vendor.name].needs_survey,
        }
    )


def response_out(response: Response) -> ResponseOut:
    """A response as it is shown."""
    return ResponseOut(
        vendor_response_id=response.vendor_response_id,
        score=response.score,
        comment=response.comment,
        customer_id=response.customer_id,
        touchpoint=response.touchpoint,
        language=response.language,
        answered_at=response.answered_at.isoformat(),
        revised_at=None if response.revised_at is None else response.revised_at.isoformat(),
        claimed_class=response.claimed_class,
        withdrawn=response.withdrawn,
    )


def _place(place: Candidate) -> PlaceOut:
    preview = "" if place.value is None else str(place.value)
    return PlaceOut(reference=_reference(place.reference), title=place.title, value=preview[:_LONGEST_PREVIEW])


def _reference(reference: Reference) -> ReferenceBody:
    return ReferenceBody.model_validate({reference.place: reference.name})


def _map_body(fields: FieldMap) -> FieldMapBody:
    return FieldMapBody.model_validate(fields.as_json())
