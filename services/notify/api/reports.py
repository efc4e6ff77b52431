"""`/v1/bounces/providers/{provider}`: what mail providers tell by web hooks of their own, signed as they sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

import structlog
from fastapi import APIRouter, Request

from libs.events import inbox
from libs.events.event import EventId
from libs.webapi.problem import MEDIA_TYPE, SCHEMA, Problem, of_status
from libs.webapi.strict_json import NotStrictError, loads
from services.notify import bounces
from services.notify.api.bounces import Records, records
from services.notify.domain.report_formats import FORMATS, ProviderName, reports_of
from services.notify.report_signatures import signed
from services.notify.telemetry import REPORTS_REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from libs.events.database import Database

log: Final = structlog.get_logger()

_CONSUMER: Final = "notify.reports"
"""Under which the inbox knows what was taken: a signature that does not cover the event must not work twice."""


class ReportHooks:
    """One door for all providers that a key is set for."""

    def __init__(self, database: Database, keys: Mapping[ProviderName, str]) -> None:
        """`keys`: by which each of them is known."""
        self._database = database
        self._keys = keys
        self.router: Final = APIRouter(prefix="/v1/bounces/providers", tags=["bounces"])
        self.router.add_api_route(
            "/{provider}",
            self.take,
            methods=["POST"],
            summary="A mail provider's own web hook",
            response_model=Records,
            responses={
                401: {
                    "description": "Not signed by that provider, or no key of theirs is set.",
                    "content": {MEDIA_TYPE: {"schema": SCHEMA}},
                }
            },
            openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}},
        )

    async def take(self, request: Request, provider: str) -> Records:
        """Verified by the provider's signature, taken once; what it tells that is none of our business changes nothing.

        An unknown provider and a bad signature get the same answer.
        """
        body = await request.body()
        name, document = _known(provider), _json(body)
        key = None if name is None else self._keys.get(name)
        token = None
        if name is not None and key:
            token = signed(FORMATS[name].signature, key, body, document, request.headers, self._database.clock())
        if name is None or token is None:
            REPORTS_REFUSED.labels(name or "unknown").inc()
            log.warning("report.refused", provider=name or "unknown")
            raise of_status(401, detail="This is not signed by a provider that is known here.")
        if document is None:
            raise Problem(400, "invalid-json", "The body is not JSON", detail="What the provider signed is no JSON.")
        told = reports_of(FORMATS[name], document)
        id_ = EventId(uuid5(NAMESPACE_URL, f"report:{name}/{token}"))
        async with self._database.transaction() as tx:
            if not await inbox.mark(tx, _CONSUMER, [(id_, id_)]):
                return Records(recorded=[])
            return records(await bounces.take(tx, told))


def _known(provider: str) -> ProviderName | None:
    return next((name for name in FORMATS if name == provider), None)


def _json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return loads(body)
    except NotStrictError:
        return None
