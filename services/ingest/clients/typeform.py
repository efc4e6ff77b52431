"""Typeform's Responses API: `GET /forms/{form}/responses`, whose items are what a webhook has under `form_response`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from services.ingest.clients.api import Odd, VendorApi, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.ingest.clients.api import Account, Asking, Item

_PER_PAGE: Final = 1_000


async def since(ask: Asking, account: Account, moment: datetime) -> AsyncIterator[Sequence[Item]]:
    """Page by page, by time of submission."""
    parameters: dict[str, str | int] = {
        "since": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "page_size": _PER_PAGE,
        "sort": "submitted_at,asc",
    }
    while True:
        told = await ask.get(f"/forms/{account.survey}/responses", **parameters)
        found = told.get("items") if isinstance(told, dict) else None
        if not isinstance(found, list):
            raise Odd("there is no list of responses")
        yield [item({"event_type": "form_response", "form_response": each}, _changed_at(each)) for each in found]
        if len(found) < _PER_PAGE:
            return
        # `since` is inclusive, so that what was submitted in the same second comes again, and is known again.
        last = _changed_at(found[-1]).strftime("%Y-%m-%dT%H:%M:%SZ")
        if last == parameters["since"]:
            raise Odd("more responses of one second than fit on a page")
        parameters["since"] = last


def _changed_at(told: Any) -> datetime:  # noqa: ANN401 - JSON
    try:
        return datetime.fromisoformat(told["submitted_at"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise Odd("a response without submitted_at") from error


API: Final = VendorApi(
    base_url="https://api.typeform.com",
    headers=lambda token: {"Authorization": f"Bearer {token}"},
    since=since,
    per_second=2.0,
)
