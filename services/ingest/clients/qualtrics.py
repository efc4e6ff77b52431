"""Qualtrics' API v3: one response by its id; many by an export, which is ordered, waited for and downloaded as a zip.

The account's base address names the company's data centre: https://{brand or data centre}.qualtrics.com.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from services.ingest.clients.api import NotNow, Odd, VendorApi, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from services.ingest.clients.api import Account, Asking, Item

_BATCH: Final = 500
_LOOKS: Final = 60
_BETWEEN_LOOKS_S: Final = 1.0
_MOST_BYTES: Final = 500 * 1_048_576

_decode: Final = msgspec.json.Decoder().decode


async def one(ask: Asking, account: Account, response_id: str) -> Item:
    """One response with its values."""
    told = await ask.get(f"/API/v3/surveys/{account.survey}/responses/{response_id}")
    result = told.get("result") if isinstance(told, dict) else None
    return item(result, _changed_at(result))


async def since(ask: Asking, account: Account, moment: datetime) -> AsyncIterator[Sequence[Item]]:
    """All of one export, in batches."""
    exports = f"/API/v3/surveys/{account.survey}/export-responses"
    ordered = await ask.post(exports, {"format": "ndjson", "startDate": moment.astimezone(UTC).isoformat()})
    file_id = await _ready(ask, f"{exports}/{_result(ordered, 'progressId')}")
    found = _lines(await ask.download(f"{exports}/{file_id}/file"))
    while batch := list(islice(found, _BATCH)):
        yield [item(each, _changed_at(each)) for each in batch]


async def _ready(ask: Asking, progress: str) -> str:
    for _ in range(_LOOKS):
        told = await ask.get(progress)
        match _result(told, "status"):
            case "complete":
                return _result(told, "fileId")
            case "failed":
                raise NotNow("the export failed")
        await asyncio.sleep(_BETWEEN_LOOKS_S)
    raise NotNow("the export takes too long")


def _result(told: Any, name: str) -> str:  # noqa: ANN401 - JSON
    try:
        found = told["result"][name]
    except (KeyError, TypeError) as error:
        raise Odd(f"an answer without {name}") from error
    if not isinstance(found, str) or "/" in found:
        raise Odd(f"{name} is no id")
    return found


def _lines(archive: bytes) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            for name in files.namelist():
                if files.getinfo(name).file_size > _MOST_BYTES:
                    raise Odd("the export is too large")
                with files.open(name) as lines:
                    for line in lines:
                        if line.strip():
                            yield _decode(line)
    except (zipfile.BadZipFile, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Odd("the export is no zip of lines of JSON") from error


def _changed_at(told: Any) -> datetime:  # noqa: ANN401 - JSON
    try:
        return datetime.fromisoformat(told["values"]["recordedDate"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise Odd("a response without recordedDate") from error


API: Final = VendorApi(
    base_url="https://iad1.qualtrics.com",
    headers=lambda token: {"X-API-TOKEN": token},
    one=one,
    since=since,
    per_second=5.0,
)
