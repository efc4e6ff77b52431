"""What notify takes from the environment, and the only place that looks there."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.events.topics import INBOX_RETENTION
from services.notify.domain.addresses import Networks
from services.notify.domain.mailboxes import is_address
from services.notify.links import SECRET_LENGTH
from services.notify.mime import Mailbox
from services.notify.report_signatures import is_public_key

if TYPE_CHECKING:
    from services.notify.domain.report_formats import ProviderName


def _mailbox(text: str) -> str:
    if not is_address(parseaddr(text)[1]):
        raise ValueError("not an address such as: Otklik <care@company.example>")
    return text


def _networks(written: str) -> str:
    Networks.parse(_split(written))  # a ValueError says what is wrong with it
    return written


def _split(written: str) -> list[str]:
    return [each.strip() for each in written.split(",") if each.strip()]


def _address(text: str | None) -> str | None:
    if text is not None and not is_address(text):
        raise ValueError("not an address such as: bounces@company.example")
    return text


def _public_key(text: str | None) -> str | None:
    if text is not None and not is_public_key(text):
        raise ValueError("not a public key over P-256: DER in base64, as SendGrid shows it")
    return text


Secret = Annotated[SecretStr, Field(min_length=SECRET_LENGTH)]


class Settings(BaseSettings):
    """Variables with the prefix `NOTIFY_`, and the addresses of Kafka and the mail server, which all share."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", frozen=True, hide_input_in_errors=True)

    database_url: Annotated[str, Field(repr=False)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8004
    pool_size: Annotated[int, Field(ge=6, le=100)] = 12
    kafka_bootstrap_servers: Annotated[str, Field(validation_alias="OTKLIK_KAFKA_BOOTSTRAP_SERVERS")] = "127.0.0.1:9092"
    smtp_url: Annotated[str, Field(validation_alias="OTKLIK_SMTP_URL", repr=False)] = "smtp://127.0.0.1:1025"
    """smtp:// (TLS where the server offers it), smtp+starttls:// or smtps://, with a user and password if needed."""
    smtp_connections: Annotated[int, Field(ge=1, le=64)] = 4
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    """For every answer of the mail server, the last one included."""

    public_url: str = "http://127.0.0.1:8004"
    """Where customers reach this service: the base of signed links."""
    portal_url: str = "http://127.0.0.1:8000"
    """Where employees reach the portal."""
    link_secret: Secret
    """Signs links."""
    link_secret_previous: Secret | None = None
    """Still verifies links, while secrets are rotated."""
    sender: Annotated[str, AfterValidator(_mailbox)] = "Otklik <otklik@localhost>"
    """Who writes, as customers see it; they may also write to it."""
    return_path: Annotated[str | None, AfterValidator(_address)] = None
    """Where mails that cannot be delivered come back to; the sender's address where nothing is said."""
    returns_listen: str | None = None
    """Where that mailbox's server hands them over: lmtp:// or smtp://, a host and a port of ours."""
    mailgun_signing_key: Annotated[SecretStr | None, Field(min_length=8)] = None
    """Mailgun's "HTTP webhook signing key": its web hooks to `/v1/bounces/providers/mailgun` are known by it."""
    sendgrid_verification_key: Annotated[str | None, AfterValidator(_public_key)] = None
    """SendGrid's "verification key", for those to `/v1/bounces/providers/sendgrid`."""
    time_zone: str = "Europe/Moscow"
    """The company's: for employees, and for customers whose zone is not known."""

    casework_url: str = "http://127.0.0.1:8003"
    """Where the times that are free for a callback are known."""
    casework_key: SecretStr | None = None
    """Asks there (scopes `cases:read cases:write settings:read`). Without one customers are offered no times to choose
    from, and employees get no digests."""
    scoring_url: str = "http://127.0.0.1:8002"
    """Where the numbers and comments of digests are known."""
    scoring_key: SecretStr | None = None
    """Asks there (scopes `customers:read metrics:read`). Without one employees get no digests."""
    profile_wait_seconds: Annotated[float, Field(gt=0)] = 900.0
    """How long a message waits for its customer's profile."""
    receipts_url: str | None = None
    """Where the receiving side can be asked what arrived (`?message_id=`), if it can; the local mailbox can."""
    doubt_settles_seconds: Annotated[float, Field(gt=0)] = 120.0
    """The longest time after its last dot in which a mail may still turn up there."""

    hooks_allowed_networks: Annotated[str, AfterValidator(_networks)] = ""
    """Private networks that web hooks may go to nevertheless: `10.0.0.0/8`, with commas; empty: none."""
    hooks_plain_http: bool = False
    """Whether web hooks may go over plain HTTP."""
    hooks_in_flight: Annotated[int, Field(ge=1, le=512)] = 64
    hooks_per_subscription: Annotated[int, Field(ge=1, le=512)] = 32
    """To one receiver at once, when it has shown that it can take that."""
    hooks_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 15.0
    """For all of one delivery."""
    hooks_kept_days: Annotated[int, Field(ge=5, le=INBOX_RETENTION.days)] = 30
    """How long deliveries can be seen and replayed; longer than their own schedule, and no longer than the inbox
    remembers."""

    messages_kept_days: Annotated[int, Field(ge=INBOX_RETENTION.days)] = 400
    """How long the ledger lists a message that is settled. Never shorter than the inbox remembers: until then an event
    that comes again finds one or the other."""

    @property
    def mailbox(self) -> Mailbox:
        """The sender as a name and an address."""
        name, address = parseaddr(self.sender)
        return Mailbox(name or address.partition("@")[2], address)

    @property
    def link_secrets(self) -> list[str]:
        """The present secret first."""
        previous = [self.link_secret_previous] if self.link_secret_previous is not None else []
        return [secret.get_secret_value() for secret in (self.link_secret, *previous)]

    @property
    def report_keys(self) -> dict[ProviderName, str]:
        """By which the web hooks of mail providers are known, of those that have one."""
        mailgun, sendgrid = self.mailgun_signing_key, self.sendgrid_verification_key
        keys: dict[ProviderName, str] = {} if mailgun is None else {"mailgun": mailgun.get_secret_value()}
        return keys if sendgrid is None else {**keys, "sendgrid": sendgrid}

    @property
    def smtp_timeout(self) -> timedelta:
        """As a span of time."""
        return timedelta(seconds=self.smtp_timeout_seconds)

    @property
    def hooks_networks(self) -> Networks:
        """As networks."""
        return Networks.parse(_split(self.hooks_allowed_networks))

    @property
    def hooks_timeout(self) -> timedelta:
        """As a span of time."""
        return timedelta(seconds=self.hooks_timeout_seconds)

    @property
    def hooks_kept(self) -> timedelta:
        """As a span of time."""
        return timedelta(days=self.hooks_kept_days)

    @property
    def messages_kept(self) -> timedelta:
        """As a span of time."""
        return timedelta(days=self.messages_kept_days)

    @property
    def profile_wait(self) -> timedelta:
        """As a span of time."""
        return timedelta(seconds=self.profile_wait_seconds)

    @property
    def doubt_settles(self) -> timedelta:
        """As a span of time; never shorter than what a transfer that is under way may still take."""
        return max(timedelta(seconds=self.doubt_settles_seconds), self.smtp_timeout)
