"""The SQL of the portal: people, sessions, failed log-ins, and the events of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import text

from services.portal.domain.health import LoopStep
from services.portal.domain.people import Language, Person, PersonId, Role
from services.portal.domain.stream import Position, StreamEvent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

# --- people

_PUT_PERSON: Final = text("""
    INSERT INTO people (person_id, login, name, email, role, language, password_hash, created_at)
    VALUES (:person_id, :login, :name, :email, :role, :language, :password_hash, :now)
        ON CONFLICT (person_id) DO UPDATE
       SET login = excluded.login, name = excluded.name, email = excluded.email, role = excluded.role,
           language = excluded.language, password_hash = excluded.password_hash, disabled_at = NULL
""")
_PERSON_BY_LOGIN: Final = text("""
    SELECT person_id, login, name, email, role, language, password_hash
      FROM people
     WHERE login = :login AND disabled_at IS NULL
""")
_NAMES: Final = text("SELECT person_id, name FROM people WHERE person_id = ANY(CAST(:ids AS text[]))")
_SET_PASSWORD_HASH: Final = text("UPDATE people SET password_hash = :password_hash WHERE person_id = :person_id")
_DISABLE: Final = text("""
    WITH ended AS (DELETE FROM sessions WHERE person_id = :person_id)
    UPDATE people SET disabled_at = :now WHERE person_id = :person_id AND disabled_at IS NULL
""")


async def put_person(tx: Tx, person: Person, *, password_hash: str) -> None:
    """Store a person, new or anew."""
    await tx.execute(
        _PUT_PERSON,
        {
            "person_id": person.id,
            "login": person.login,
            "name": person.name,
            "email": person.email,
            "role": person.role,
            "language": person.language,
            "password_hash": password_hash,
            "now": tx.now,
        },
    )


async def find_by_login(tx: Tx, login: str) -> tuple[Person, str] | None:
    """The enabled person with this log-in, and the hash of their password."""
    row = await tx.fetch_one(_PERSON_BY_LOGIN, {"login": login})
    return None if row is None else (_person(row), row.password_hash)


async def names_of(tx: Tx, ids: Iterable[str]) -> dict[str, str]:
    """What these people are called, those who have or had an account."""
    return {row.person_id: row.name for row in await tx.fetch(_NAMES, {"ids": list(ids)})}


async def set_password_hash(tx: Tx, person_id: PersonId, password_hash: str) -> None:
    """Replace the hash of a person's password."""
    await tx.execute(_SET_PASSWORD_HASH, {"person_id": person_id, "password_hash": password_hash})


async def disable(tx: Tx, person_id: PersonId) -> bool:
    """Close a person's account and end their sessions; whether it was open."""
    return await tx.execute(_DISABLE, {"person_id": person_id, "now": tx.now}) > 0


# --- sessions

_OPEN_SESSION: Final = text("""
    INSERT INTO sessions (token_hash, person_id, created_at, seen_at, expires_at)
    VALUES (:token_hash, :person_id, :now, :now, :expires_at)
""")
_SESSION: Final = text("""
    SELECT person_id, login, name, email, role, language, seen_at
      FROM sessions
      JOIN people USING (person_id)
     WHERE token_hash = :token_hash
       AND expires_at > :now AND seen_at > :idle_since AND disabled_at IS NULL
""")
_SEEN: Final = text("UPDATE sessions SET seen_at = :now WHERE token_hash = :token_hash AND seen_at < :now")
_END_SESSION: Final = text("DELETE FROM sessions WHERE token_hash = :token_hash")
_END_OLD_SESSIONS: Final = text("""
    DELETE FROM sessions
     WHERE token_hash = ANY(ARRAY(
        SELECT token_hash FROM sessions
         WHERE expires_at <= :now OR seen_at <= :idle_since LIMIT :limit
     ))
""")


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in that is still good."""

    person: Person
    seen_at: datetime


async def open_session(tx: Tx, token_hash: bytes, person_id: PersonId, *, lasting: timedelta) -> None:
    """Begin a session."""
    await tx.execute(
        _OPEN_SESSION,
        {"token_hash": token_hash, "person_id": person_id, "now": tx.now, "expires_at": tx.now + lasting},
    )


async def find_session(tx: Tx, token_hash: bytes, *, idle: timedelta) -> Session | None:
    """The session, unless it is over, unused for `idle`, or its person disabled."""
    row = await tx.fetch_one(_SESSION, {"token_hash": token_hash, "now": tx.now, "idle_since": tx.now - idle})
    return None if row is None else Session(_person(row), row.seen_at)


async def note_use(tx: Tx, token_hash: bytes) -> None:
    """Note that the session is used now."""
    await tx.execute(_SEEN, {"token_hash": token_hash, "now": tx.now})


async def end_session(tx: Tx, token_hash: bytes) -> None:
    """Log out."""
    await tx.execute(_END_SESSION, {"token_hash": token_hash})


async def prune_sessions(tx: Tx, *, idle: timedelta, limit: int = 1_000) -> bool:
    """Forget sessions that are over; whether there may be more."""
    parameters = {"now": tx.now, "idle_since": tx.now - idle, "limit": limit}
    return await tx.execute(_END_OLD_SESSIONS, parameters) == limit


# --- failed log-ins

_HOLD_ATTEMPTS: Final = text("""
    INSERT INTO login_attempts (subject, failures, last_at)
    SELECT subject, 0, :now FROM unnest(CAST(:subjects AS bytea[])) AS tried (subject) ORDER BY subject
        ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
    RETURNING subject, failures, last_at
""")
_COUNT_ATTEMPTS: Final = text("""
    UPDATE login_attempts
       SET failures = CASE WHEN last_at <= :forgotten_before THEN 1 ELSE failures + 1 END, last_at = :now
     WHERE subject = ANY(CAST(:subjects AS bytea[]))
""")
_FORGIVE: Final = text("""
    UPDATE login_attempts SET failures = greatest(failures - 1, 0)
     WHERE subject = ANY(CAST(:subjects AS bytea[]))
""")
_FORGET_ATTEMPTS: Final = text("DELETE FROM login_attempts WHERE subject = ANY(CAST(:subjects AS bytea[]))")
_PRUNE_ATTEMPTS: Final = text("""
    DELETE FROM login_attempts
     WHERE subject = ANY(ARRAY(SELECT subject FROM login_attempts WHERE last_at < :before LIMIT :limit))
""")


@dataclass(frozen=True, slots=True)
class Attempts:
    """The failed log-ins of one subject: a log-in, or an address."""

    failures: int
    last_at: datetime


async def hold_attempts(tx: Tx, subjects: Collection[bytes]) -> Mapping[bytes, Attempts]:
    """What is noted of the subjects, locked until the transaction ends: attempts made at once are counted in turn."""
    rows = await tx.fetch(_HOLD_ATTEMPTS, {"subjects": list(subjects), "now": tx.now})
    return {bytes(row.subject): Attempts(row.failures, row.last_at) for row in rows}


async def count_attempts(tx: Tx, subjects: Collection[bytes], *, forgotten_after: timedelta) -> None:
    """Count an attempt as failed, before it is made: attempts made at once cannot outrun the count."""
    parameters = {"subjects": list(subjects), "now": tx.now, "forgotten_before": tx.now - forgotten_after}
    await tx.execute(_COUNT_ATTEMPTS, parameters)


async def forgive_attempt(tx: Tx, *, login: bytes, address: bytes) -> None:
    """The attempt succeeded after all: forget the log-in's failures, take the attempt back from the address."""
    await tx.execute(_FORGET_ATTEMPTS, {"subjects": [login]})
    await tx.execute(_FORGIVE, {"subjects": [address]})


async def prune_attempts(tx: Tx, *, older_than: timedelta, limit: int = 1_000) -> bool:
    """Forget old failures; whether there may be more."""
    return await tx.execute(_PRUNE_ATTEMPTS, {"before": tx.now - older_than, "limit": limit}) == limit


# --- events

_ADD_EVENTS: Final = text("""
    INSERT INTO events (event_id, type, subject, happened_at, received_at, facts)
    SELECT event_id, type, subject, happened_at, :now, facts
      FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:subjects AS text[]),
                  CAST(:times AS timestamptz[]), CAST(:facts AS jsonb[])) WITH ORDINALITY
           AS arrived (event_id, type, subject, happened_at, facts, place)
     ORDER BY place
""")
# Whoever adds events and whoever forgets a customer go one after the other: a look at who is forgotten would otherwise
# miss an erasure that commits a moment later, and the erasure the events that it did not see.
_KEEP_ERASURES_OUT: Final = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('portal.erasure', 0))")
_ERASE_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('portal.erasure', 0))")
_FORGOTTEN: Final = text("""
    SELECT customer_id, forgotten_at
      FROM forgotten_customers
      JOIN unnest(CAST(:ids AS text[])) AS asked (customer_id)
        ON customer_hash = sha256(convert_to(customer_id, 'UTF8'))
""")
_FORGET: Final = text("""
    INSERT INTO forgotten_customers (customer_hash, forgotten_at)
    SELECT sha256(convert_to(customer_id, 'UTF8')), max(erased_at)
      FROM unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS erased (customer_id, erased_at)
     GROUP BY customer_id
        ON CONFLICT (customer_hash) DO UPDATE
       SET forgotten_at = greatest(forgotten_customers.forgotten_at, excluded.forgotten_at)
""")
_ERASE_FACTS: Final = text("""
    UPDATE events
       SET facts = facts - CAST(:personal AS text[])
      FROM unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS erased (customer_id, erased_at)
     WHERE facts ->> 'customer_id' = erased.customer_id AND happened_at <= erased.erased_at
""")
_HORIZON: Final = text("""
    SELECT CAST(CAST(pg_snapshot_xmin(snapshot) AS text) AS bigint) AS xmin
      FROM pg_current_snapshot() AS snapshot
""")
_EVENTS_AFTER: Final = text("""
    SELECT CAST(CAST(txid AS text) AS bigint) AS txid, number, event_id, type, subject, happened_at, facts
      FROM events
     WHERE (events.txid, number) > (CAST(CAST(:txid AS text) AS xid8), :number)
       AND events.txid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY events.txid, number
     LIMIT :limit
""")
_LATEST_EVENTS: Final = text("""
    SELECT CAST(CAST(txid AS text) AS bigint) AS txid, number, event_id, type, subject, happened_at, facts
      FROM events
     WHERE events.txid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY events.txid DESC, number DESC
     LIMIT :limit
""")
_COUNTS: Final = text("""
    SELECT type, count(*) AS n, max(happened_at) AS latest
      FROM events
     WHERE received_at >= :since
     GROUP BY type
     ORDER BY type
""")
_COUNT_DAYS: Final = text("""
    INSERT INTO daily_counts (day, step, n)
    SELECT day, step, n FROM unnest(CAST(:days AS date[]), CAST(:steps AS text[]), CAST(:ns AS bigint[]))
           AS counted (day, step, n)
     ORDER BY day, step
        ON CONFLICT (day, step) DO UPDATE SET n = daily_counts.n + excluded.n
""")
_DAYS: Final = text("""
    SELECT step, CAST(sum(n) AS bigint) AS n FROM daily_counts WHERE day >= :first AND day <= :last GROUP BY step
""")
_PRUNE_EVENTS: Final = text("""
    DELETE FROM events
     WHERE ctid = ANY(ARRAY(SELECT ctid FROM events WHERE received_at < :before ORDER BY received_at LIMIT :limit))
""")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that came from a topic, before it has its place in the stream. `facts` is JSON."""

    id: UUID
    type: str
    subject: str
    time: datetime
    facts: str


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How many events of a type arrived, and when the latest of them happened."""

    type: str
    n: int
    latest: datetime


async def add_events(tx: Tx, arrivals: Sequence[Arrival]) -> None:
    """Append to the stream, in this order."""
    await tx.execute(
        _ADD_EVENTS,
        {
            "ids": [arrival.id for arrival in arrivals],
            "types": [arrival.type for arrival in arrivals],
            "subjects": [arrival.subject for arrival in arrivals],
            "times": [arrival.time for arrival in arrivals],
            "facts": [arrival.facts for arrival in arrivals],
            "now": tx.now,
        },
    )


async def forgotten(tx: Tx, customers: Sequence[str]) -> dict[str, datetime]:
    """Who of `customers` asked to be forgotten, and when; nobody else can until the end of `tx`."""
    await tx.execute(_KEEP_ERASURES_OUT)
    rows = await tx.fetch(_FORGOTTEN, {"ids": customers})
    return {row.customer_id: row.forgotten_at for row in rows}


async def forget(tx: Tx, erased: Sequence[tuple[str, datetime]], personal: Sequence[str]) -> None:
    """Take `personal` out of everything that these customers did until they asked to be forgotten."""
    parameters = {"ids": [customer for customer, _ in erased], "times": [time for _, time in erased]}
    await tx.execute(_ERASE_ALONE)
    await tx.execute(_FORGET, parameters)
    await tx.execute(_ERASE_FACTS, {**parameters, "personal": personal})


async def horizon(tx: Tx) -> Position:
    """The place before which nothing will be added any more."""
    row = await tx.fetch_one(_HORIZON)
    assert row is not None  # noqa: S101 - a function call in FROM gives one row
    return Position(row.xmin, 0)


async def events_after(tx: Tx, position: Position, *, limit: int) -> list[StreamEvent]:
    """The next events that nothing can come before any more, in the order of the stream."""
    parameters = {"txid": str(position.txid), "number": position.number, "limit": limit}
    return [_event(row) for row in await tx.fetch(_EVENTS_AFTER, parameters)]


async def latest_events(tx: Tx, *, limit: int) -> list[StreamEvent]:
    """The newest events, newest first."""
    return [_event(row) for row in await tx.fetch(_LATEST_EVENTS, {"limit": limit})]


async def event_counts(tx: Tx, *, since: datetime) -> list[TypeCount]:
    """How many events of each type arrived since then."""
    return [TypeCount(row.type, row.n, row.latest) for row in await tx.fetch(_COUNTS, {"since": since})]


async def count_steps(tx: Tx, counts: Mapping[tuple[date, LoopStep], int]) -> None:
    """Add to the days' counts. In one order, so that two consumers never wait for each other in a circle."""
    keys = sorted(counts)
    parameters = {
        "days": [day for day, _ in keys],
        "steps": [step for _, step in keys],
        "ns": [counts[key] for key in keys],
    }
    await tx.execute(_COUNT_DAYS, parameters)


async def steps_between(tx: Tx, first: date, last: date) -> dict[LoopStep, int]:
    """How often each step of the loop was taken from the first day to the last one."""
    rows = await tx.fetch(_DAYS, {"first": first, "last": last})
    return {LoopStep(row.step): row.n for row in rows}


async def prune_events(tx: Tx, *, older_than: timedelta, limit: int = 5_000) -> bool:
    """Forget events of this age, some at a time; whether there may be more."""
    return await tx.execute(_PRUNE_EVENTS, {"before": tx.now - older_than, "limit": limit}) == limit


def _person(row: Row[Any]) -> Person:
    return Person(
        id=PersonId(row.person_id),
        login=row.login,
        name=row.name,
        email=row.email,
        role=Role(row.role),
        language=cast("Language", row.language),  # the column's check
    )


def _event(row: Row[Any]) -> StreamEvent:
    return StreamEvent(
        Position(row.txid, row.number), str(row.event_id), row.type, row.subject, row.happened_at, row.facts
    )
