"""The shapes of customers and accounts over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from libs.events.contracts.customers import AccountRole, Language
from libs.events.contracts.messages import Purpose
from libs.events.contracts.scores import Tier
from services.scoring.domain.conditions import Condition, Operator
from services.scoring.domain.customers import LONGEST_ID, Profile
from services.scoring.domain.told import Told

MOST_IN_BATCH: Final = 10_000

_ZONES = frozenset(available_timezones())
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("is no IANA time zone")
    return name


def _written_out(moment: object) -> object:
    if not isinstance(moment, (str, datetime)):
        raise ValueError("is no time as ISO 8601 writes it")  # noqa: TRY004 - what Pydantic turns into a refusal
    return moment


Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# Nothing that could end a header or begin a second address.
_PART = r"[^@\s<>,;:\"\x00-\x1f\x7f]+"
Email = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{_PART}@{_PART}\.{_PART}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()\-]{3,30}$")]
TimeZone = Annotated[str, AfterValidator(_known_zone), Field(description="IANA name.", examples=["Europe/Moscow"])]
Money = Annotated[float, Field(allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), Field(ge=_FIRST, le=_LAST, strict=False)]
SourceVersion = Annotated[int, Field(ge=0, lt=2**63)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=500)] | bool | int | Money


class Sourced(BaseModel):
    """What says how new it is. What is older than what is known changes nothing."""

    model_config = ConfigDict(strict=True, extra="forbid")

    source_version: SourceVersion | None = Field(None, description="The version that the company's own system counts.")
    source_updated_at: Moment | None = Field(None, description="When the company's own system changed it.")

    @property
    def told(self) -> Told:
        """How new it is."""
        return Told(self.source_version, self.source_updated_at)


class CustomerBody(Sourced):
    """A customer as the company's own systems know them: the whole profile, not the difference."""

    name: Name
    email: Email | None = None
    phone: Phone | None = None
    language: Language
    time_zone: TimeZone
    account_id: Id | None = Field(None, description="The account may become known later than its customers.")
    account_role: AccountRole | None = None
    current_value: Money | None = Field(None, description="What the customer is worth today.")
    potential_value: Money | None = Field(None, description="What they could be worth.")
    attributes: Annotated[dict[AttributeName, AttributeValue], Field(max_length=50)] = Field(
        default_factory=dict, description="Whatever else the segment rules shall look at."
    )
    products: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=50)
    ] = []
    email_consent: Annotated[
        bool, Field(description="False always counts. True does not outweigh what the customer told a survey vendor.")
    ] = True
    email_consent_at: Moment | None = Field(
        None, description="When they consented: nothing but a later consent outweighs their last unsubscription."
    )

    @model_validator(mode="after")
    def _check_consent(self) -> Self:
        if self.email_consent_at is not None and not self.email_consent:
            raise ValueError("email_consent_at needs email_consent to be true")
        return self

    def profile(self, customer_id: str) -> Profile:
        """The profile of the customer with this id."""
        return Profile(
            id=customer_id,
            name=self.name,
            email=self.email,
            phone=self.phone,
            language=self.language,
            time_zone=self.time_zone,
            account_id=self.account_id,
            account_role=self.account_role,
            current_value=self.current_value,
            potential_value=self.potential_value,
            attributes=self.attributes,
            email_consent=self.email_consent,
            products=tuple(self.products),
        )


class Identified(BaseModel):
    """One of a batch."""

    id: Id


class BatchItem(CustomerBody, Identified):
    """One customer of a batch."""

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="The version last seen, like If-Match.")


class Batch(BaseModel):
    """Up to 10,000 customers; each is accepted or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[Annotated[Any, WithJsonSchema(BatchItem.model_json_schema())]],
        Field(min_length=1, max_length=MOST_IN_BATCH),
    ]


class ItemError(BaseModel):
    """What is wrong with a field of an item."""

    pointer: str
    detail: str


Status = Annotated[
    Literal["created", "updated", "unchanged", "stale", "conflict", "invalid"],
    Field(description="`stale`: older than what is known, by its source's own version or time; nothing changed."),
]


class BatchResult(BaseModel):
    """What became of one customer of a batch."""

    id: str | None
    status: Status
    version: int | None = Field(None, description="The version there is now.")
    tier: Tier | None = None
    tier_reason: str | None = None
    errors: list[ItemError] = []


class BatchResults(BaseModel):
    """One result per item, in the order of the items."""

    items: list[BatchResult]


class Fact(BaseModel):
    """A condition that a customer met; of `top` and `bottom`, `value` is a share, and `cut` where it began."""

    field: str
    op: Operator
    value: str | bool | int | float | list[str | bool | int | float]
    cut: float | None

    @classmethod
    def of(cls, condition: Condition) -> "Fact":
        """The condition as it is shown."""
        value = condition.value
        return cls(
            field=condition.field,
            op=condition.op,
            value=list(value) if isinstance(value, tuple) else value,
            cut=condition.cut,
        )


class Stored(BaseModel):
    """What became of a profile. It repeats no personal data: answers are kept for their repetition."""

    id: str
    version: int
    tier: Tier
    tier_reason: str


class Customer(BaseModel):
    """A customer with their tier and why they have it."""

    id: str
    version: int
    name: str
    email: str | None
    phone: str | None
    language: Language
    time_zone: str
    account_id: str | None
    account_name: str | None = Field(description="Null where the account is not known yet.")
    account_role: AccountRole | None
    current_value: float | None
    potential_value: float | None
    attributes: dict[str, str | bool | int | float]
    products: list[str]
    email_consent: bool
    email_consented_at: datetime | None = Field(description="When they last consented, where that was told.")
    email_refused: list[Purpose] = Field(description="What they want no mails of, although they consent to others.")
    tier: Tier
    tier_reason: str
    tier_facts: list[Fact] = Field(description="The conditions of the rule that gave the tier; none: no rule matched.")
    source_version: int | None
    source_updated_at: datetime | None
    updated_at: datetime


class CustomerInList(BaseModel):
    """A customer as lists show them."""

    id: str
    name: str
    account_id: str | None
    account_role: AccountRole | None
    current_value: float | None
    potential_value: float | None
    tier: Tier
    tier_reason: str


class AccountBody(Sourced):
    """A company among the customers."""

    name: Name
    attributes: Annotated[dict[AttributeName, AttributeValue], Field(max_length=50)] = Field(
        default_factory=dict, description="What segment rules may look at as account.<name>."
    )


class AccountItem(AccountBody, Identified):
    """One account of a batch."""

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="The version last seen, like If-Match.")


class AccountBatch(BaseModel):
    """Up to 10,000 accounts; each is accepted or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[Annotated[Any, WithJsonSchema(AccountItem.model_json_schema())]],
        Field(min_length=1, max_length=MOST_IN_BATCH),
    ]


class AccountResult(BaseModel):
    """What became of one account of a batch."""

    id: str | None
    status: Status
    version: int | None = Field(None, description="The version there is now.")
    errors: list[ItemError] = []


class AccountResults(BaseModel):
    """One result per item, in the order of the items."""

    items: list[AccountResult]


class Account(BaseModel):
    """A company with its version."""

    id: str
    version: int
    name: str
    attributes: dict[str, str | bool | int | float]
    source_version: int | None
    source_updated_at: datetime | None
    updated_at: datetime
