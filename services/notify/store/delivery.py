"""Messages on their way out: claimed, marked before the last dot, settled, recovered, resolved."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
from sqlalchemy import text

from libs.events.outbox import pack_headers
from libs.events.topics import NOTIFY_MESSAGES
from services.notify.domain.messages import Entry, Profile, Status
from services.notify.store.ledger import entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from libs.events.contracts.customers import Language
    from libs.events.contracts.messages import MessageChannel, SuppressionReason
    from libs.events.database import Database, Tx
    from libs.events.outbox import Outgoing
    from services.notify.domain.messages import Facts, MessageId
    from services.notify.domain.outcomes import Settlement
    from services.notify.domain.rounds import Ending
    from services.notify.letters import TemplateKey

PRESENCE_CLASS: Final = 0x6E6F7466
"""First number of the advisory lock that a living sender holds; the second is its own."""

_decode: Final = msgspec.json.decode
_NO_CHOICES: Final[Mapping[str, bool]] = MappingProxyType({})

_ANY_DUE: Final = text("SELECT EXISTS (SELECT FROM messages WHERE status = 'queued' AND due_at <= :now) AS any_due")
# Each look-up of what is known is one row by its key, and OFFSET 0 (or LIMIT 1) keeps it that: as a join it can be
# planned, and was, to go through all that is due and all that is known, for each claim anew. Only what is to be taken
# is looked up.
_CLAIM: Final = text("""
    WITH due AS MATERIALIZED (
        SELECT id, kind, language, customer_id, employee_id, address_mark
          FROM messages
         WHERE status = 'queued' AND due_at <= :now
         ORDER BY due_at, id
         LIMIT CAST(:limit AS integer)
           FOR UPDATE SKIP LOCKED),
    known AS MATERIALIZED (
        SELECT due.id, p.customer_id AS profile_of, p.version, p.name, p.email, p.language, p.time_zone,
               p.email_consent, p.phone, p.email_mark, c.ended, t.version AS template_version,
               ch.address AS chat, se.reason AS email_listed, sp.reason AS phone_listed, cc.choices
          FROM due
          LEFT JOIN LATERAL (
               SELECT * FROM profiles WHERE profiles.customer_id = due.customer_id OFFSET 0) AS p ON true
          LEFT JOIN LATERAL (SELECT ended FROM confirmations WHERE message_id = due.id OFFSET 0) AS c ON true
          LEFT JOIN LATERAL (
               SELECT version FROM templates_in_use AS t
                WHERE t.kind = due.kind AND t.language = coalesce(due.language, p.language) OFFSET 0) AS t ON true
          LEFT JOIN LATERAL (
               SELECT reason FROM suppressions AS s
                WHERE s.mark = coalesce(p.email_mark, due.address_mark) AND s.removed_at IS NULL
                  AND (s.until IS NULL OR s.until > :now)
                ORDER BY s.reason = 'unsubscribed' LIMIT 1) AS se ON true
          LEFT JOIN LATERAL (
               SELECT reason FROM suppressions AS s
                WHERE s.mark = p.phone_mark AND s.removed_at IS NULL
                  AND (s.until IS NULL OR s.until > :now)
                ORDER BY s.reason = 'unsubscribed' LIMIT 1) AS sp ON true
          LEFT JOIN LATERAL (
               SELECT choices FROM contact_choices AS c WHERE c.customer_id = due.customer_id OFFSET 0) AS cc ON true
          LEFT JOIN LATERAL (
               SELECT address FROM employee_chats AS c WHERE c.employee_id = due.employee_id OFFSET 0) AS ch ON true)
    UPDATE messages m
       SET status = 'sending', attempt = m.attempt + 1, sender = :sender, changed_at = :now,
           template_version = coalesce(m.template_version, known.template_version),
           address_mark = coalesce(known.email_mark, m.address_mark)
      FROM known
     WHERE m.id = known.id
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent,
           m.failures, m.address, m.name, m.language, CAST(m.facts AS text), m.created_at, known.profile_of,
           known.version, known.name, known.email, known.language, known.time_zone, known.email_consent, known.phone,
           known.ended, m.template_version, known.email_listed, known.phone_listed, CAST(known.choices AS text),
           m.channel, m.provider, m.repeatable_until, known.chat,
           (SELECT coalesce(max(revision), 0) FROM contact_rules)
             + (SELECT coalesce(sum(revision), 0) FROM providers) AS rules_revision
""")
_SUPPRESS: Final = text("""
    UPDATE messages m SET status = 'suppressed', reason = held.reason, sender = NULL, changed_at = :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:reasons AS text[]))
           AS held (id, attempt, reason)
     WHERE m.id = held.id AND m.attempt = held.attempt AND m.status = 'sending'
 RETURNING m.id
""")
# It is planned once, on a new system as it may be. So no index may answer what is asked of the status, which `||` sees
# to: one that holds few rows then would be gone through for ever after.
_MARK: Final = text("""
    UPDATE messages m SET status = 'transmitting', transmitting_at = :now, changed_at = :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[])) AS mine (id, attempt)
     WHERE m.id = mine.id AND m.attempt = mine.attempt AND m.status || '' = 'sending'
 RETURNING m.id
""")
_MARK_ASKED: Final = text("""
    UPDATE messages
       SET status = 'transmitting', transmitting_at = :now, changed_at = :now, channel = :channel, provider = :provider,
           repeatable_until = coalesce(repeatable_until, CAST(:until AS timestamptz))
     WHERE id = :id AND attempt = :attempt AND status = 'sending'
 RETURNING id
""")
# The commonest outcome, with its event: what `_SETTLE` and the outbox do, in one statement.
_SENT: Final = text("""
    WITH known AS MATERIALIZED (
             SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:keys AS text[]),
                                  CAST(:values AS bytea[]), CAST(:headers AS bytea[])) WITH ORDINALITY
                           AS known (id, attempt, key, value, headers, place)),
         settled AS (
             UPDATE messages m SET status = 'sent', reason = NULL, sender = NULL, changed_at = :now
               FROM known
              WHERE m.id = known.id AND m.attempt = known.attempt
                AND m.status || '' IN ('sending', 'transmitting', 'doubtful', 'queued')
          RETURNING m.id, known.key, known.value, known.headers, known.place),
         emitted AS (
             INSERT INTO outbox (topic, key, value, headers, emitted_at)
             SELECT :topic, key, value, headers, :now FROM settled ORDER BY place)
    SELECT id FROM settled
""")
# By attempt, so that a sender that was given up changes nothing that somebody else has taken on. A certain outcome
# beats a doubt, and a certain "accepted" even a second try that nobody has begun.
_SETTLE: Final = text("""
    UPDATE messages m
       SET status = known.status, reason = known.reason, sender = NULL, changed_at = :now,
           due_at = coalesce(known.due_at, m.due_at), failures = m.failures + known.failures
      FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS integer[]), CAST(:statuses AS text[]),
                  CAST(:reasons AS text[]), CAST(:due_ats AS timestamptz[]), CAST(:failures AS integer[]))
           AS known (id, attempt, status, reason, due_at, failures)
     WHERE m.id = known.id AND m.attempt = known.attempt
       AND (m.status IN ('sending', 'transmitting', 'doubtful') OR (m.status = 'queued' AND known.status = 'sent'))
 RETURNING m.id, m.cause_id, m.kind, m.case_id, m.customer_id, m.employee_id, m.attempt, m.traceparent,
           m.status, m.reason
""")
# One statement: its snapshot of the rows is older than its look at the locks, and a sender takes its lock before its
# first row. So no row of a living sender is taken for abandoned.
_ABANDONED: Final = text("""
    SELECT id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent, status, failures,
           coalesce(repeatable_until > :now, false) AS repeatable
      FROM messages
     WHERE status IN ('sending', 'transmitting')
       AND sender <> ALL(ARRAY(
           SELECT CAST(objid AS bigint) FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND CAST(classid AS bigint) = :class
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
""")
_DOUBTS: Final = text("""
    WITH due AS MATERIALIZED (
        SELECT id FROM messages
         WHERE status = 'doubtful' AND due_at <= :now AND (channel IS NULL OR channel = 'email')
         ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE messages m SET due_at = :next FROM due WHERE m.id = due.id
 RETURNING m.id, m.attempt, m.transmitting_at
""")
_COUNT_DOUBTS: Final = text("SELECT count(*) AS doubts FROM messages WHERE status = 'doubtful'")
_RESOLVE: Final = text("""
    UPDATE messages
       SET status = :status, reason = CASE WHEN :status = 'queued' THEN NULL ELSE reason END,
           due_at = :now, changed_at = :now
     WHERE id = :id AND status = ANY(CAST(:allowed AS text[]))
 RETURNING id, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent
""")


class Claimed(NamedTuple):
    """A message in our hands, with what is known of its recipient at this moment.

    A tuple, because one is made for each mail, and a frozen class of so many members costs several times as much.
    """

    entry: Entry
    failures: int
    facts: Facts
    created_at: datetime
    address: str | None
    name: str | None
    language: str | None
    profile: Profile | None
    ended: Ending | None
    template_version: int | None
    """By which it is written: that which was in use when it was first taken in hand."""
    channel: MessageChannel
    email_listed: SuppressionReason | None
    """Why the address is on the list of those that are not written to; so also of the phone."""
    phone_listed: SuppressionReason | None
    choices: Mapping[str, bool]
    rules_revision: int
    """Of the rules of contact and the providers that are in force."""
    chat: str | None = None
    """An employee's address in chat."""
    provider: str | None = None
    """Whom it was asked of; and until when it may be asked for again under its key, where they know keys."""
    repeatable_until: datetime | None = None

    @property
    def to_customer(self) -> bool:
        """Whether a customer is told, whose address is in the profile; that of all others came with the message."""
        return self.address is None

    @property
    def template(self) -> TemplateKey:
        """By which template it is written."""
        profile = self.profile
        language = profile.language if profile is not None and self.to_customer else cast("Language", self.language)
        return self.entry.kind, language, self.template_version


@dataclass(frozen=True, slots=True)
class Settled:
    """A message after its outcome was recorded."""

    entry: Entry
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A message whose sender is gone."""

    entry: Entry
    status: Status
    failures: int
    repeatable: bool = False
    """Whether whom it was asked of still remembers its key."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message of which nobody knows whether it arrived."""

    id: MessageId
    attempt: int
    transmitting_at: datetime


async def is_any_due(tx: Tx) -> bool:
    """Whether a message waits to be sent; claiming needs a mail server, and this does not."""
    row = await tx.fetch_one(_ANY_DUE, {"now": tx.now})
    return row is not None and bool(row.any_due)


async def claim(database: Database, *, sender: int, limit: int) -> list[Claimed]:
    """Take up to `limit` due messages for `sender`; when this returns they are ours for everybody to see."""
    rows = await database.at_once(_CLAIM, {"now": database.clock(), "limit": limit, "sender": sender}, publishes=False)
    return [_claimed(row) for row in rows]


def _claimed(row: Sequence[Any]) -> Claimed:
    # By place: of so many columns each costs several times as much by its name.
    id_, cause_id, kind, case_id, customer_id, employee_id, attempt, traceparent, *others = row
    failures, address, name, language, facts, created_at, profile_of, *others = others
    version, profile_name, email, profile_language, time_zone, consent, phone, *others = others
    ended, template_version, email_listed, phone_listed, choices, *others = others
    channel, provider, repeatable_until, chat, rules_revision = others
    profile = None
    if profile_of is not None:
        profile = Profile(
            customer_id=profile_of,
            version=version,
            name=profile_name,
            email=email,
            language=profile_language,
            time_zone=time_zone,
            email_consent=consent,
            phone=phone,
        )
    return Claimed(
        entry=Entry(
            id=id_,
            cause_id=cause_id,
            kind=kind,
            case_id=case_id,
            customer_id=customer_id,
            employee_id=employee_id,
            attempt=attempt,
            traceparent=traceparent,
        ),
        failures=failures,
        facts=_decode(facts),
        created_at=created_at,
        address=address,
        name=name,
        language=language,
        profile=profile,
        ended=ended,
        template_version=template_version,
        channel=channel or "email",
        email_listed=email_listed,
        phone_listed=phone_listed,
        choices=_NO_CHOICES if choices is None else _granted(choices),
        rules_revision=rules_revision,
        chat=chat,
        provider=provider,
        repeatable_until=repeatable_until,
    )


def _granted(choices: str) -> dict[str, bool]:
    return {key: each["granted"] for key, each in _decode(choices).items()}


async def suppress(tx: Tx, held: Mapping[Entry, SuppressionReason]) -> set[MessageId]:
    """Hold back messages that were claimed; those that were still ours."""
    parameters = {
        "ids": [entry.id for entry in held],
        "attempts": [entry.attempt for entry in held],
        "reasons": list(held.values()),
    }
    return {row.id for row in await tx.fetch(_SUPPRESS, {**parameters, "now": tx.now})}


async def mark_transmitting(database: Database, mine: Sequence[Entry]) -> set[MessageId]:
    """Note that the last dot is next; only those that are still ours may get it. Mail connections wait for it."""
    parameters = {"ids": [entry.id for entry in mine], "attempts": [entry.attempt for entry in mine]}
    rows = await database.at_once(_MARK, {**parameters, "now": database.clock()}, publishes=False)
    return {id_ for (id_,) in rows}


async def mark_asked(
    tx: Tx, entry: Entry, *, channel: MessageChannel, provider: str | None, until: datetime | None
) -> bool:
    """Note that somebody other than the mail server is asked next, and until when they remember its key."""
    parameters = {"id": entry.id, "attempt": entry.attempt, "channel": channel, "provider": provider, "until": until}
    return await tx.fetch_one(_MARK_ASKED, {**parameters, "now": tx.now}) is not None


async def settle_sent(database: Database, sent: Sequence[tuple[Entry, Outgoing]], *, now: datetime) -> set[MessageId]:
    """Record that these attempts went well, each with its event; the messages that it was still news for."""
    parameters = {
        "ids": [entry.id for entry, _ in sent],
        "attempts": [entry.attempt for entry, _ in sent],
        "keys": [record.key for _, record in sent],
        "values": [record.value for _, record in sent],
        "headers": [pack_headers(record.headers) for _, record in sent],
        "topic": NOTIFY_MESSAGES.name,
        "now": now,
    }
    return {id_ for (id_,) in await database.at_once(_SENT, parameters)}


async def settle(tx: Tx, known: Sequence[tuple[MessageId, int, Settlement]]) -> list[Settled]:
    """Record what became of attempts (message, attempt, settlement); those that it was still news for."""
    rows = await tx.fetch(
        _SETTLE,
        {
            "ids": [id_ for id_, _, _ in known],
            "attempts": [attempt for _, attempt, _ in known],
            "statuses": [str(settlement.status) for _, _, settlement in known],
            "reasons": [settlement.reason for _, _, settlement in known],
            "due_ats": [None if each.wait is None else tx.now + each.wait for _, _, each in known],
            "failures": [int(settlement.failed_once_more) for _, _, settlement in known],
            "now": tx.now,
        },
    )
    return [Settled(entry, Status(row.status), row.reason) for entry, row in zip(entries(rows), rows, strict=True)]


async def abandoned(tx: Tx, *, limit: int) -> list[Abandoned]:
    """Up to `limit` messages in the hands of senders that are gone, locked."""
    rows = await tx.fetch(_ABANDONED, {"class": PRESENCE_CLASS, "limit": limit, "now": tx.now})
    return [
        Abandoned(entry, Status(row.status), row.failures, row.repeatable)
        for entry, row in zip(entries(rows), rows, strict=True)
    ]


async def doubts(tx: Tx, *, limit: int, ask_again_at: datetime) -> list[Doubt]:
    """Up to `limit` doubts about which it is time to ask; they come again at `ask_again_at`."""
    rows = await tx.fetch(_DOUBTS, {"now": tx.now, "limit": limit, "next": ask_again_at})
    return [Doubt(row.id, row.attempt, row.transmitting_at) for row in rows]


async def count_doubts(tx: Tx) -> int:
    """How many messages are doubtful."""
    row = await tx.fetch_one(_COUNT_DOUBTS)
    return row.doubts if row is not None else 0


async def resolve(tx: Tx, id_: MessageId, *, status: Status, allowed: Sequence[Status]) -> Entry | None:
    """Set what an operator found out, where the message is in one of the `allowed` states."""
    parameters = {"id": id_, "status": str(status), "allowed": [str(each) for each in allowed], "now": tx.now}
    row = await tx.fetch_one(_RESOLVE, parameters)
    return None if row is None else entries([row])[0]
