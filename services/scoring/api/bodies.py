"""The shapes of customers and accounts over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from libs.events.contracts.customers import AccountRole, Language
from libs.events.contracts.scores import Tier
from services.scoring.domain.customers import LONGEST_ID, Profile

_ZONES = frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("is no IANA time zone")
    return name


Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# Nothing that could end a header or begin a second address.
_PART = r"[^@\s<>,;:\"\x00-\x1f\x7f]+"
Email = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{_PART}@{_PART}\.{_PART}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()\-]{3,30}$")]
TimeZone = Annotated[str, AfterValidator(_known_zone), Field(description="IANA name.", examples=["Europe/Moscow"])]
Money = Annotated[float, Field(allow_inf_nan=False)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=500)] | bool | int | Money


class CustomerBody(BaseModel):
    """A customer as the company's own systems know them: the whole profile, not the difference."""

    model_config = ConfigDict(strict=True, extra="forbid")

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
    email_consent: Annotated[
        bool, Field(description="False always counts. True does not outweigh what the customer told a survey vendor.")
    ] = True
    email_consent_at: Annotated[
        AwareDatetime | None,
        Field(
            strict=False,
            description="When they consented: nothing but a later consent outweighs their last unsubscription.",
        ),
    ] = None

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
        )


class BatchItem(CustomerBody):
    """One customer of a batch."""

    id: Id
    version: Annotated[int, Field(ge=1)] | None = Field(None, description="The version last seen, like If-Match.")


class Batch(BaseModel):
    """Up to 1,000 customers; each is accepted or refused for itself."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[
        list[Annotated[Any, WithJsonSchema(BatchItem.model_json_schema())]], Field(min_length=1, max_length=1000)
    ]


class ItemError(BaseModel):
    """What is wrong with a field of an item."""

    pointer: str
    detail: str


class BatchResult(BaseModel):
    """What became of one customer of a batch."""

    id: str | None
    status: Literal["created", "updated", "unchanged", "conflict", "invalid"]
    version: int | None = Field(None, description="The version there is now.")
    tier: Tier | None = None
    tier_reason: str | None = None
    errors: list[ItemError] = []


class BatchResults(BaseModel):
    """One result per item, in the order of the items."""

    items: list[BatchResult]


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
    email_consent: bool
    tier: Tier
    tier_reason: str
    updated_at: datetime


class AccountBody(BaseModel):
    """A company among the customers."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name


class Account(AccountBody):
    """A company with its version."""

    id: str
    version: int
    updated_at: datetime
