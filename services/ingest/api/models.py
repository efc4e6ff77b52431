"""The bodies of ingest's REST calls."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from libs.events.contracts.responses import SCALES, Channel, Metric, SurveyKind
from libs.webapi.problem import FieldError
from services.ingest.api.access import SOURCE_NAME
from services.ingest.domain.deliveries import Status
from services.ingest.domain.sources import MOST_NETWORKS, network_of
from services.ingest.domain.values import LONGEST_ID

_ASKED_BOTH_WAYS: Final = 5
"""The highest score of a CES that some surveys ask as agreement that it was easy, and some as effort."""

Short = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
SecretText = Annotated[
    str, Field(min_length=1, max_length=500, json_schema_extra={"writeOnly": True}, description="Never told again.")
]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not a time zone of the IANA database")
    return name


def _network(written: str) -> str:
    return str(network_of(written))


class InstrumentOut(BaseModel):
    """Exactly how the score is asked."""

    model_config = ConfigDict(extra="forbid")

    metric: Metric
    question: Annotated[str, Field(min_length=1, max_length=1000)]
    scale_min: Annotated[int, Field(ge=-1000, le=1000)]
    scale_max: Annotated[int, Field(ge=-1000, le=1000)]
    kind: SurveyKind
    channel: Channel
    sampling: Short = "unknown"
    branded: bool = True
    higher_is_worse: Annotated[
        bool,
        Field(description="True where the highest score is the worst, as in the CES of 2008 (5: very high effort)."),
    ] = False


class InstrumentBody(InstrumentOut):
    """Exactly how the score was asked. Any change of it breaks the series."""

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        known = SCALES[self.metric]
        if (self.scale_min, self.scale_max) not in known:
            scales = " or ".join(f"{lowest} to {highest}" for lowest, highest in known)
            raise ValueError(f"the scale of {self.metric.upper()} is {scales}")
        if self.metric == "nps" and self.higher_is_worse:
            raise ValueError("the best score of NPS is the highest")
        told = "higher_is_worse" in self.model_fields_set
        if self.metric == "ces" and self.scale_max == _ASKED_BOTH_WAYS and not told:
            raise ValueError("CES from 1 to 5 is asked in both directions: say higher_is_worse")
        return self


class ReferenceBody(BaseModel):
    """One place in the vendor's payload: exactly one of the three."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    question: Annotated[Short | None, Field(description="The question's reference or id.")] = None
    hidden: Annotated[Short | None, Field(description="A hidden field, attribute or person property.")] = None
    path: Annotated[Short | None, Field(description="Keys from the payload's root, joined by dots.")] = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name exactly one of question, hidden and path")
        return self


class FieldMapBody(BaseModel):
    """Where each field is. What is left out is where the vendor's own shape has it, if it does."""

    model_config = ConfigDict(extra="forbid")

    score: Annotated[
        ReferenceBody | None,
        Field(description="Null where nobody knows yet: what comes is quarantined until the map names the question."),
    ] = None
    comment: ReferenceBody | None = None
    customer: ReferenceBody | None = None
    touchpoint: ReferenceBody | None = None
    language: ReferenceBody | None = None
    claimed_class: ReferenceBody | None = None


class SourceBody(BaseModel):
    """A survey at a vendor. `secret` is needed once; left out later, it stays; another one replaces it at once."""

    model_config = ConfigDict(extra="forbid")

    vendor: Annotated[str, Field(max_length=40, description="One of those that `GET /v1/vendors` lists.")]
    program: Short
    instrument: InstrumentBody
    touchpoint: Annotated[Short | None, Field(description="Where the payload does not say.")] = None
    language: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", description="Where the payload does not say."),
    ] = None
    time_zone: Annotated[
        str, Field(max_length=60, description="Of times without a zone."), AfterValidator(_known_zone)
    ] = "UTC"
    field_map: FieldMapBody = FieldMapBody()
    enabled: bool = True
    keep_days: Annotated[
        int | None, Field(ge=30, le=3650, description="How long contents of deliveries are kept; null: as everywhere.")
    ] = None
    networks: Annotated[
        list[Annotated[str, Field(max_length=50), AfterValidator(_network)]],
        Field(
            max_length=MOST_NETWORKS,
            description="Where deliveries come from: `192.0.2.0/24`, `2001:db8::/32`; empty: from anywhere.",
        ),
    ] = []
    secret: SecretText | None = None


class SecretOut(BaseModel):
    """What may be told about a secret."""

    id: UUID
    created_at: datetime
    valid_until: datetime | None


class SourceOut(BaseModel):
    """A source as it is stored, without its secrets. `webhook` is the path that the vendor posts to."""

    name: str
    webhook: str
    vendor: str
    program: str
    instrument: InstrumentOut
    touchpoint: str | None
    language: str | None
    time_zone: str
    field_map: FieldMapBody
    enabled: bool
    keep_days: int | None
    networks: list[str]
    secrets: list[SecretOut]
    created_at: datetime
    updated_at: datetime


class SecretBody(BaseModel):
    """The next secret. The one in use stays valid until `old_valid_until`: a day from now, where that is left out."""

    model_config = ConfigDict(extra="forbid")

    secret: SecretText
    old_valid_until: Annotated[datetime | None, Field(description="At most 30 days from now.")] = None


class SecretsOut(BaseModel):
    """The secrets that are valid: first the one whose time is running out, last the one in use."""

    secrets: list[SecretOut]


class WhyOut(BaseModel):
    """A reason as a code that stays, and what it is about: for whoever says it in another language."""

    code: str
    parameters: dict[str, Any]


class DeliveryOut(BaseModel):
    """A kept delivery."""

    id: UUID
    source: str
    via: Literal["webhook", "rest", "api", "file"]
    key: Annotated[str, Field(description="The vendor's id of the delivery, else the hash of its body.")]
    conflicting: Annotated[bool, Field(description="Another body under an id that was known already.")]
    size: int
    content_type: str
    received_at: datetime
    status: Status
    reason: str | None
    why: Annotated[WhyOut | None, Field(description="The reason's code; null where a row is older than codes.")]
    response_id: UUID | None
    event_ids: list[UUID]
    copies: Annotated[int, Field(description="How often it arrived.")]
    replayed_at: datetime | None


class DeliveryWithBody(DeliveryOut):
    """A kept delivery with what it consisted of. `body` is null where the bytes are no text: then see `body_base64`."""

    headers: dict[str, str]
    body: str | None
    body_base64: str


class ReplayFilter(BaseModel):
    """Which deliveries to understand again: the oldest that fit, and with `cursor` those after."""

    model_config = ConfigDict(extra="forbid")

    status: Status = Status.QUARANTINED
    source: Annotated[str | None, Field(pattern=SOURCE_NAME)] = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    cursor: Annotated[str | None, Field(max_length=1024)] = None


class Replayed(BaseModel):
    """What a delivery is after it was understood again."""

    delivery_id: UUID
    status: Status
    reason: str | None
    response_id: UUID | None
    event_ids: list[UUID]


class ResponseBody(BaseModel):
    """One response in our own shape. `source` says which program and instrument it belongs to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: Annotated[str, Field(pattern=SOURCE_NAME)]
    response_id: Short
    answered_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    updated_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    score: int | None = None
    comment: str | None = None
    customer_id: Short | None = None
    touchpoint: Short | None = None
    language: Annotated[str | None, Field(max_length=40)] = None
    claimed_class: Short | None = None
    answers: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


class ItemOut(BaseModel):
    """What became of one response. With `errors` nothing of it was kept."""

    status: Literal["accepted", "duplicate", "ignored", "invalid"]
    response_id: UUID | None = None
    delivery_id: UUID | None = None
    event_ids: list[UUID] = []
    reason: str | None = None
    errors: list[FieldError] | None = None


class ResultsOut(BaseModel):
    """A result per item, in order."""

    items: list[ItemOut]
