"""The APIs of four survey vendors on a port of this machine, as the vendors document them: tests and trials ask here.

It speaks HTTP, checks the token, pages and orders exports, and fails as vendors do when it is told to.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    Handler = Callable[[Request], Awaitable[Response]]

_PER_PAGE_OF_DELIGHTED: Final = 100


class VendorApis:
    """Typeform, SurveyMonkey, Qualtrics and Delighted, who all have the same responses."""

    def __init__(self, *, port: int, token: str) -> None:
        self.port: Final = port
        self.responses: Final[dict[str, dict[str, Any]]] = {}
        """By the vendor's id, as the vendor's API tells them."""
        self.faults: Final[deque[Response]] = deque()
        """What the next requests are answered instead."""
        self.asked: Final[Counter[str]] = Counter()
        """How often each path was asked."""
        self._looks = 0
        basic = "Basic " + base64.b64encode(f"{token}:".encode()).decode()
        self._allowed: Final = {f"Bearer {token}", basic, token}
        routes: list[tuple[str, Handler, str]] = [
            ("/v3/surveys/{survey}/responses/bulk", self._bulk, "GET"),
            ("/v3/surveys/{survey}/responses/{id}/details", self._one, "GET"),
            ("/API/v3/surveys/{survey}/responses/{id}", self._one_of_qualtrics, "GET"),
            ("/API/v3/surveys/{survey}/export-responses", self._export, "POST"),
            ("/API/v3/surveys/{survey}/export-responses/{id}", self._progress, "GET"),
            ("/API/v3/surveys/{survey}/export-responses/{id}/file", self._file, "GET"),
            ("/forms/{form}/responses", self._forms, "GET"),
            ("/v1/survey_responses.json", self._delighted, "GET"),
        ]
        app = Starlette(routes=[Route(path, self._let_in(tell), methods=[method]) for path, tell, method in routes])
        config = uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, lifespan="off")
        config.load()
        self._server: Final = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    @property
    def address(self) -> str:
        """The base address of the account."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        await self._server.startup()

    async def stop(self) -> None:
        """Listen no more."""
        await self._server.shutdown()

    def _let_in(self, tell: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            self.asked[request.url.path] += 1
            if not self._allowed & {request.headers.get("authorization"), request.headers.get("x-api-token")}:
                return Response(status_code=401)
            return self.faults.popleft() if self.faults else await tell(request)

        return answer

    # SurveyMonkey

    async def _one(self, request: Request) -> Response:
        found = self.responses.get(request.path_params["id"])
        return JSONResponse(found) if found else JSONResponse({"error": {"id": "1020"}}, 404)

    async def _bulk(self, request: Request) -> Response:
        query = request.query_params
        since = datetime.fromisoformat(query["start_modified_at"]).replace(tzinfo=UTC)
        found = sorted(
            (each for each in self.responses.values() if datetime.fromisoformat(each["date_modified"]) >= since),
            key=lambda each: str(each["date_modified"]),
        )
        page, per_page = int(query["page"]), int(query["per_page"])
        return JSONResponse({"data": found[(page - 1) * per_page : page * per_page], "page": page, "total": len(found)})

    # Qualtrics

    async def _one_of_qualtrics(self, request: Request) -> Response:
        found = self.responses.get(request.path_params["id"])
        if found is None:
            return Response(status_code=404)
        return JSONResponse({"result": found, "meta": {"httpStatus": "200 - OK"}})

    async def _export(self, request: Request) -> Response:
        if (await request.json())["format"] != "ndjson":
            return Response(status_code=400)
        self._looks = 0
        return JSONResponse({"result": {"progressId": "ES_1", "status": "inProgress"}})

    async def _progress(self, _request: Request) -> Response:
        self._looks += 1
        ready = {"status": "complete", "fileId": "f-1"} if self._looks > 1 else {"status": "inProgress"}
        return JSONResponse({"result": {"percentComplete": 50.0, **ready}})

    async def _file(self, _request: Request) -> Response:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("survey.ndjson", "\n".join(json.dumps(each) for each in self.responses.values()))
        return Response(archive.getvalue(), media_type="application/zip")

    # Typeform and Delighted

    async def _forms(self, request: Request) -> Response:
        found = [each for each in self.responses.values() if each["submitted_at"] >= request.query_params["since"]]
        return JSONResponse({"total_items": len(found), "page_count": 1, "items": found})

    async def _delighted(self, request: Request) -> Response:
        since, page = int(request.query_params["updated_since"]), int(request.query_params["page"])
        found = [each for each in self.responses.values() if each["updated_at"] >= since]
        return JSONResponse(found[(page - 1) * _PER_PAGE_OF_DELIGHTED : page * _PER_PAGE_OF_DELIGHTED])
