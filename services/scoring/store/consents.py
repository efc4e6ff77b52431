"""Who unsubscribed and who consented, by the marks of ids and addresses; see `domain.consents` for what that means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from libs.events.contracts.responses import address_mark
from services.scoring.domain.consents import Said
from services.scoring.domain.customers import erasure_mark

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from libs.events.database import Tx

_UNSUBSCRIBE: Final = text("""
    INSERT INTO consents (mark, unsubscribed_at)
    SELECT mark, unsubscribed_at
      FROM unnest(CAST(:marks AS bytea[]), CAST(:times AS timestamptz[])) AS told (mark, unsubscribed_at)
     ORDER BY mark
        ON CONFLICT (mark) DO UPDATE SET unsubscribed_at = greatest(consents.unsubscribed_at, excluded.unsubscribed_at)
""")
_CONSENT: Final = text("""
    INSERT INTO consents (mark, consented_at)
    SELECT mark, consented_at
      FROM unnest(CAST(:marks AS bytea[]), CAST(:times AS timestamptz[])) AS told (mark, consented_at)
     ORDER BY mark
        ON CONFLICT (mark) DO UPDATE SET consented_at = greatest(consents.consented_at, excluded.consented_at)
""")
_SAID: Final = text(
    "SELECT mark, unsubscribed_at, consented_at FROM consents WHERE mark = ANY(CAST(:marks AS bytea[]))"
)
_AT_ADDRESSES: Final = text("""
    SELECT id FROM customers WHERE email IS NOT NULL AND address_mark(email) = ANY(CAST(:marks AS bytea[]))
""")
_ERASED: Final = text("SELECT mark, erased_at FROM erasures WHERE mark = ANY(CAST(:marks AS bytea[]))")
# An address is forgotten with the last customer who had it.
_FORGET: Final = text("""
    DELETE FROM consents
     WHERE mark = :mark
        OR (mark = :address AND NOT EXISTS (SELECT FROM customers WHERE email IS NOT NULL
                                                               AND address_mark(email) = :address))
""")


def mark_of_address(address: str | None) -> bytes | None:
    """The mark of an address, if there is one."""
    return None if address is None else bytes.fromhex(address_mark(address))


async def unsubscribe(tx: Tx, told: Mapping[bytes, datetime]) -> None:
    """Remember unsubscriptions by the marks of whoever they are."""
    await tx.execute(_UNSUBSCRIBE, {"marks": list(told), "times": list(told.values())})


async def consent(tx: Tx, told: Mapping[str, datetime]) -> None:
    """Remember consents of customers."""
    marks = [erasure_mark(customer_id) for customer_id in told]
    await tx.execute(_CONSENT, {"marks": marks, "times": list(told.values())})


async def said(tx: Tx, people: Iterable[tuple[str, str | None]]) -> dict[str, Said]:
    """What each customer, told by id and address, said; unsubscriptions under either, consents under the id."""
    marks = {id_: (erasure_mark(id_), mark_of_address(address)) for id_, address in people}
    wanted = {mark for both in marks.values() for mark in both if mark is not None}
    rows = {row.mark: row for row in await tx.fetch(_SAID, {"marks": list(wanted)})}
    found: dict[str, Said] = {}
    for id_, (by_id, by_address) in marks.items():
        mine, ours = rows.get(by_id), rows.get(by_address)
        told = Said() if mine is None else Said(mine.unsubscribed_at, mine.consented_at)
        found[id_] = told if ours is None else told.with_unsubscription(ours.unsubscribed_at)
    return found


async def customers_at(tx: Tx, marks: Collection[bytes]) -> set[str]:
    """The customers whose addresses have these marks."""
    return {row.id for row in await tx.fetch(_AT_ADDRESSES, {"marks": list(marks)})} if marks else set()


async def erased_at(tx: Tx, customer_ids: Iterable[str]) -> dict[str, datetime]:
    """When those of these customers who asked to be forgotten did so."""
    marks = {erasure_mark(id_): id_ for id_ in customer_ids}
    return {marks[row.mark]: row.erased_at for row in await tx.fetch(_ERASED, {"marks": list(marks)})} if marks else {}


async def forget(tx: Tx, customer_id: str, address: str | None) -> None:
    """Forget what somebody said who is being erased, and whose row is gone already."""
    mark = erasure_mark(customer_id)
    await tx.execute(_FORGET, {"mark": mark, "address": mark_of_address(address) or mark})
