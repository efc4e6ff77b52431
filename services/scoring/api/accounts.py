"""`/v1/accounts`: the companies that customers belong to."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Request, Response

from libs.events.database import Tx
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import once
from libs.webapi.problem import of_status
from libs.webapi.strict_json import Router
from services.scoring.api import profiles
from services.scoring.api.access import REPEATABLE, Reader, Writer, database_of
from services.scoring.api.bodies import Account, AccountBody
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store import accounts, locks

router: Final = Router(prefix="/v1/accounts", tags=["accounts"])

AccountId = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]


@router.put(
    "/{account_id:path}",
    responses={200: {"model": Account}, 201: {"model": Account}},
    openapi_extra=REPEATABLE,
    summary="Put an account",
)
async def put(request: Request, principal: Writer, account_id: AccountId, body: AccountBody, seen: IfMatch) -> Response:
    """`201` for a new account, else `200`. Its customers' profiles carry its name, so they are announced again."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:
        await locks.changing_account(tx)
        before = await accounts.find(tx, account_id)
        if before is None and seen is not None:
            raise of_status(412, detail="There is no such account to be changed.")
        if before is not None and seen not in {None, before.version}:
            raise changed(before.version)
        after = before
        if before is None or before.name != body.name:
            version = 1 if before is None else before.version + 1
            after = accounts.Account(account_id, version, body.name, tx.now)
            await accounts.put(tx, after)
            await profiles.rename_account(tx, command_id, account_id, body.name)
        assert after is not None  # noqa: S101 - one of the two, for the type checker
        return 201 if before is None else 200, _body(after), {"ETag": etag(after.version)}

    return await once(database_of(request), request, principal, command)


@router.get("/{account_id:path}", summary="An account")
async def get(request: Request, response: Response, principal: Reader, account_id: AccountId) -> Account:  # noqa: ARG001 - the rule
    """The account; its version as `ETag`."""
    async with database_of(request).reading() as tx:
        account = await accounts.find(tx, account_id)
    if account is None:
        raise of_status(404, detail="No such account.")
    response.headers["ETag"] = etag(account.version)
    return _body(account)


def _body(account: accounts.Account) -> Account:
    return Account(id=account.id, version=account.version, name=account.name, updated_at=account.updated_at)
