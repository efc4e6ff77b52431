"""Delighted's API: `GET /v1/survey_responses.json`, whose items are what a webhook has under `event_data`."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from services.ingest.clients.api import Odd, VendorApi, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.ingest.clients.api import Account, Asking, Item

_PER_PAGE: Final = 100


async def since(ask: Asking, _account: Account, moment: datetime) -> AsyncIterator[Sequence[Item]]:
    """Page by page, by time of the last change."""
    page = 1
    while True:
        found = await ask.get(
            "/v1/survey_responses.json",
            updated_since=int(moment.timestamp()),
            order="asc:updated_at",
            per_page=_PER_PAGE,
            page=page,
            **{"expand[]": "person"},
        )
        if not isinstance(found, list):
            raise Odd("there is no list of responses")
        yield [item({"event_type": "survey_response.updated", "event_data": each}, _changed_at(each)) for each in found]
        if len(found) < _PER_PAGE:
            return
        page += 1


def _changed_at(told: Any) -> datetime:  # noqa: ANN401 - JSON
    try:
        return datetime.fromtimestamp(told["updated_at"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Odd("a response without updated_at") from error


def _basic(token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()}


API: Final = VendorApi(
    base_url="https://api.delighted.com", headers=_basic, since=since, needs_survey=False, per_second=2.0
)
