"""SurveyMonkey's API v3: `GET /surveys/{survey}/responses/{id}/details`, and the same in bulk by date of change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from services.ingest.clients.api import Odd, VendorApi, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.ingest.clients.api import Account, Asking, Item

_PER_PAGE: Final = 100


async def one(ask: Asking, account: Account, response_id: str) -> Item:
    """One response with its answers."""
    told = await ask.get(f"/v3/surveys/{account.survey}/responses/{response_id}/details", simple="true")
    return item(told, _changed_at(told))


async def since(ask: Asking, account: Account, moment: datetime) -> AsyncIterator[Sequence[Item]]:
    """Page by page, by date of change."""
    page = 1
    while True:
        told = await ask.get(
            f"/v3/surveys/{account.survey}/responses/bulk",
            start_modified_at=moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            sort_by="date_modified",
            sort_order="ASC",
            per_page=_PER_PAGE,
            page=page,
            simple="true",
        )
        found = told.get("data") if isinstance(told, dict) else None
        if not isinstance(found, list):
            raise Odd("there is no list of responses")
        yield [item(each, _changed_at(each)) for each in found]
        if len(found) < _PER_PAGE:
            return
        page += 1


def _changed_at(told: Any) -> datetime:  # noqa: ANN401 - JSON
    try:
        return datetime.fromisoformat(told["date_modified"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise Odd("a response without date_modified") from error


API: Final = VendorApi(
    base_url="https://api.surveymonkey.com",
    headers=lambda token: {"Authorization": f"Bearer {token}"},
    one=one,
    since=since,
    per_second=2.0,  # 120 a minute are allowed
)
