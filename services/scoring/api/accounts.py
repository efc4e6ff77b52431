"""`/v1/accounts`: the companies that customers belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Path, Request, Response

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import Reader, Writer
from services.scoring.api.batches import sorted_out
from services.scoring.api.bodies import Account, AccountBatch, AccountBody, AccountItem, AccountResult, AccountResults
from services.scoring.api.customers import stale
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.domain.worth import Attribute
from services.scoring.store import accounts, customers, locks

router: Final = Router(prefix="/v1/accounts", tags=["accounts"])

AccountId = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an account; `account` is what is there now."""

    status: Literal["created", "updated", "unchanged", "stale", "conflict"]
    account: accounts.Account | None


@router.post(
    "/batch",
    responses={200: {"model": AccountResults}},
    openapi_extra=REPEATABLE,
    summary="Load up to 10,000 accounts",
)
async def load(request: Request, principal: Writer, batch: AccountBatch) -> Response:
    """Each item has its own result; one that is refused does not hold up the others."""
    items = await sorted_out(batch.items, AccountItem)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        outcomes = await _put(tx, command_id, list(items.good.values())) if items.good else []
        results = {
            index: AccountResult(id=each.id, status="invalid", version=None, errors=each.errors)
            for index, each in items.refused.items()
        }
        for (index, item), each in zip(items.good.items(), outcomes, strict=True):
            version = None if each.account is None else each.account.version
            results[index] = AccountResult(id=item.id, status=each.status, version=version)
        return 200, AccountResults(items=[results[index] for index in range(len(results))]), {}

    return await once(database_of(request), request, principal, command)


@router.put(
    "/{account_id:path}",
    responses={200: {"model": Account}, 201: {"model": Account}},
    openapi_extra=REPEATABLE,
    summary="Put an account",
)
async def put(request: Request, principal: Writer, account_id: AccountId, body: AccountBody, seen: IfMatch) -> Response:
    """`201` for a new account, else `200`; `409` for what is older than what is known.

    Its customers' profiles carry its name, so they are announced again where it changed. Segment rules look at its
    attributes: where these changed, the tiers of its customers follow within moments.
    """
    item = AccountItem(**body.model_dump(), id=account_id, version=seen)

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        (outcome,) = await _put(tx, command_id, [item])
        after = outcome.account
        if after is None:
            raise of_status(412, detail="There is no such account to be changed.")
        if outcome.status == "conflict":
            raise changed(after.version)
        if outcome.status == "stale":
            raise stale()
        return 201 if outcome.status == "created" else 200, _body(after), {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


@router.get("", summary="Accounts, in the order of their names")
async def list_(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Account]:
    """All accounts."""
    after = ("", "") if cursor is None else decode_cursor(cursor, tuple[str, str])
    async with database_of(request).reading() as tx:
        found = await accounts.page(tx, after=after, limit=limit + 1)
    last = found[:limit][-1] if len(found) > limit else None
    items = [_body(each) for each in found[:limit]]
    return Page(items=items, next_cursor=None if last is None else encode_cursor((last.name, last.id)))


@router.get("/{account_id:path}", summary="An account")
async def get(request: Request, response: Response, principal: Reader, account_id: AccountId) -> Account:  # noqa: ARG001 - the rule
    """The account; its version as `ETag`."""
    async with database_of(request).reading() as tx:
        account = await accounts.find(tx, account_id)
    if account is None:
        raise of_status(404, detail="No such account.")
    response.headers["ETag"] = etag(account.version)
    return _body(account)


async def _put(tx: Tx, command_id: UUID, items: Sequence[AccountItem]) -> list[_Outcome]:
    """Store these, each id at most once; announce customers of renamed ones, value those of changed ones again."""
    await locks.changing_account(tx)
    present = await accounts.known(tx, (each.id for each in items))
    outcomes = [_outcome(tx, each, present.get(each.id)) for each in items]
    stored = [each.account for each in outcomes if each.status in {"created", "updated"} and each.account is not None]
    # What says the same, but newer, is stored too, so that the older is known to be old.
    retold = [
        each.account for each in outcomes if each.status == "unchanged" and each.account != present.get(_id(each))
    ]
    written = [*stored, *(each for each in retold if each is not None)]
    if written:
        await accounts.put(tx, written)
    renamed = [each for each in stored if each.id not in present or present[each.id].name != each.name]
    if renamed:
        await profiles.rename_accounts(tx, command_id, renamed)
    revalued = [each.id for each in stored if _attributes(present.get(each.id)) != _attributes(each)]
    if revalued:
        await customers.value_again(tx, revalued)
    return outcomes


def _outcome(tx: Tx, item: AccountItem, before: accounts.Account | None) -> _Outcome:
    if before is None:
        if item.version is not None:
            return _Outcome("conflict", None)
        return _Outcome("created", accounts.Account(item.id, 1, item.name, tx.now, item.attributes, item.told))
    if item.version not in {None, before.version}:
        return _Outcome("conflict", before)
    if item.told.older_than(before.told):
        return _Outcome("stale", before)
    same = before.name == item.name and _attributes(before) == _written(item.attributes)
    version = before.version if same else before.version + 1
    updated_at = before.updated_at if same else tx.now
    told = item.told.after(before.told)
    after = accounts.Account(item.id, version, item.name, updated_at, item.attributes, told)
    return _Outcome("unchanged" if same else "updated", after)


def _id(outcome: _Outcome) -> str:
    return "" if outcome.account is None else outcome.account.id


def _attributes(account: accounts.Account | None) -> dict[str, str]:
    return {} if account is None else _written(account.attributes)


def _written(attributes: Mapping[str, Attribute]) -> dict[str, str]:
    # The rules tell true from 1, which are equal in Python.
    return {name: repr(value) for name, value in attributes.items()}


def _body(account: accounts.Account) -> Account:
    return Account(
        id=account.id,
        version=account.version,
        name=account.name,
        attributes=dict(account.attributes),
        source_version=account.told.version,
        source_updated_at=account.told.at,
        updated_at=account.updated_at,
    )
