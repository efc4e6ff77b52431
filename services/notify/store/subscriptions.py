"""Subscriptions as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from libs.events.contracts.cases import Employee
from services.notify.domain.subscriptions import Disabled, Subscription, SubscriptionId
from services.notify.domain.visibility import read, written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Row

    from libs.events.database import Tx

_INSERT: Final = text("""
    INSERT INTO subscriptions (id, owner, name, url, types, sees, contact_id, contact_name, contact_email,
                               contact_language, secret, created_at, changed_at)
    VALUES (:id, :owner, :name, :url, CAST(:types AS text[]), :sees, :contact_id, :contact_name, :contact_email,
            :contact_language, :secret, :now, :now)
        ON CONFLICT (owner, name) DO NOTHING
 RETURNING *
""")
_CHANGE: Final = text("""
    UPDATE subscriptions s
       SET name = :name, url = :url, types = CAST(:types AS text[]), sees = :sees, contact_id = :contact_id,
           contact_name = :contact_name, contact_email = :contact_email, contact_language = :contact_language,
           paused_until = CASE WHEN s.url = :url THEN s.paused_until END, version = s.version + 1, changed_at = :now
     WHERE s.id = :id
       AND NOT EXISTS (SELECT FROM subscriptions o WHERE o.owner = s.owner AND o.name = :name AND o.id <> s.id)
 RETURNING *
""")
_GET: Final = text("SELECT * FROM subscriptions WHERE id = :id AND owner = coalesce(:owner, owner)")
_HOLD: Final = text("SELECT * FROM subscriptions WHERE id = :id AND owner = coalesce(:owner, owner) FOR UPDATE")
_LIST: Final = text("""
    SELECT * FROM subscriptions
     WHERE owner = coalesce(:owner, owner)
       AND (CAST(:after_owner AS text) IS NULL OR (owner, name) > (:after_owner, :after_name))
     ORDER BY owner, name LIMIT :limit
""")
_ENABLED: Final = text("SELECT * FROM subscriptions WHERE disabled IS NULL")
_DELETE: Final = text("DELETE FROM subscriptions WHERE id = :id")
_ROTATE: Final = text("""
    UPDATE subscriptions
       SET previous_secret = secret, previous_until = :until, secret = :secret, version = version + 1, changed_at = :now
     WHERE id = :id
 RETURNING *
""")
_ENABLE: Final = text("""
    UPDATE subscriptions
       SET disabled = NULL, failing_since = NULL, paused_until = NULL, version = version + 1, changed_at = :now
     WHERE id = :id
 RETURNING *
""")
_DISABLE: Final = text("""
    UPDATE subscriptions SET disabled = :why, version = version + 1, changed_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[])) AND disabled IS NULL
 RETURNING *
""")
_WORKED: Final = text("""
    UPDATE subscriptions SET failing_since = NULL
     WHERE id = ANY(CAST(:ids AS uuid[])) AND failing_since IS NOT NULL
""")
_FAILED: Final = text("""
    UPDATE subscriptions SET failing_since = coalesce(failing_since, :now)
     WHERE id = ANY(CAST(:ids AS uuid[]))
 RETURNING id, failing_since
""")
_PAUSE: Final = text("""
    UPDATE subscriptions s SET paused_until = greatest(s.paused_until, asked.until)
      FROM unnest(CAST(:ids AS uuid[]), CAST(:untils AS timestamptz[])) AS asked (id, until)
     WHERE s.id = asked.id
""")


async def add(tx: Tx, subscription: Subscription) -> Subscription | None:
    """Keep a new one; None where its owner has one of that name."""
    row = await tx.fetch_one(_INSERT, {**_columns(subscription), "secret": subscription.secret, "now": tx.now})
    return None if row is None else _subscription(row)


async def change(tx: Tx, subscription: Subscription) -> Subscription | None:
    """Keep what may be changed of it (all but secrets and whether it is enabled); None where its name is taken."""
    row = await tx.fetch_one(_CHANGE, {**_columns(subscription), "now": tx.now})
    return None if row is None else _subscription(row)


async def get(tx: Tx, id_: SubscriptionId, *, owner: str | None) -> Subscription | None:
    """One; `owner` None asks for anybody's."""
    row = await tx.fetch_one(_GET, {"id": id_, "owner": owner})
    return None if row is None else _subscription(row)


async def hold(tx: Tx, id_: SubscriptionId, *, owner: str | None) -> Subscription | None:
    """One, locked for a change."""
    row = await tx.fetch_one(_HOLD, {"id": id_, "owner": owner})
    return None if row is None else _subscription(row)


async def listed(tx: Tx, *, owner: str | None, after: tuple[str, str] | None, limit: int) -> list[Subscription]:
    """Up to `limit`, by owner and name, after the position `after`."""
    after_owner, after_name = after or (None, None)
    parameters = {"owner": owner, "after_owner": after_owner, "after_name": after_name, "limit": limit}
    return [_subscription(row) for row in await tx.fetch(_LIST, parameters)]


async def enabled(tx: Tx) -> list[Subscription]:
    """All that are not disabled."""
    return [_subscription(row) for row in await tx.fetch(_ENABLED)]


async def delete(tx: Tx, id_: SubscriptionId) -> None:
    """Remove it."""
    await tx.execute(_DELETE, {"id": id_})


async def rotate(tx: Tx, id_: SubscriptionId, *, secret: str, previous_until: datetime) -> Subscription:
    """Give a locked one a new secret; the old one signs, too, until then."""
    row = await tx.fetch_one(_ROTATE, {"id": id_, "secret": secret, "until": previous_until, "now": tx.now})
    assert row is not None  # noqa: S101 - the caller holds it
    return _subscription(row)


async def enable(tx: Tx, id_: SubscriptionId) -> Subscription:
    """Enable a locked one; what went wrong is forgotten."""
    row = await tx.fetch_one(_ENABLE, {"id": id_, "now": tx.now})
    assert row is not None  # noqa: S101 - the caller holds it
    return _subscription(row)


async def disable(tx: Tx, ids: Collection[UUID], why: Disabled) -> list[Subscription]:
    """Disable those that are not; they, as they are now."""
    rows = await tx.fetch(_DISABLE, {"ids": sorted(ids), "why": str(why), "now": tx.now})
    return [_subscription(row) for row in rows]


async def worked(tx: Tx, ids: Collection[SubscriptionId]) -> None:
    """Note that something was delivered to these."""
    await tx.execute(_WORKED, {"ids": sorted(ids)})


async def failed(tx: Tx, ids: Collection[SubscriptionId], *, failing_for: timedelta) -> set[SubscriptionId]:
    """Note that nothing was delivered to these, and something failed; those of which that is so for `failing_for`."""
    rows = await tx.fetch(_FAILED, {"ids": sorted(ids), "now": tx.now})
    return {SubscriptionId(row.id) for row in rows if row.failing_since <= tx.now - failing_for}


async def pause(tx: Tx, until: Mapping[SubscriptionId, datetime]) -> None:
    """Leave these alone until then."""
    ids: Sequence[SubscriptionId] = sorted(until)
    await tx.execute(_PAUSE, {"ids": ids, "untils": [until[id_] for id_ in ids]})


def _columns(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "owner": subscription.owner,
        "name": subscription.name,
        "url": subscription.url,
        "types": list(subscription.types),
        "sees": written(subscription.sees),
        "contact_id": subscription.contact.employee_id,
        "contact_name": subscription.contact.name,
        "contact_email": subscription.contact.email,
        "contact_language": subscription.contact.language,
    }


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        id=SubscriptionId(row.id),
        owner=row.owner,
        name=row.name,
        url=row.url,
        types=tuple(row.types),
        sees=read(row.sees),
        contact=Employee(
            employee_id=row.contact_id, name=row.contact_name, email=row.contact_email, language=row.contact_language
        ),
        disabled=None if row.disabled is None else Disabled(row.disabled),
        failing_since=row.failing_since,
        paused_until=row.paused_until,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
