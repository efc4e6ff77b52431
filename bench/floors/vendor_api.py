"""A vendor's API that has every response that it is asked for, in a process of its own, so that its work is not ours.

python -m bench.floors.vendor_api PORT TOKEN
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

PORT, TOKEN = int(sys.argv[1]), sys.argv[2].encode()
HEAD = b'{"result":{"responseId":"'
TAIL = b"""","values":{"endDate":"2026-03-02T08:28:11Z","recordedDate":"2026-03-02T08:28:12.103Z","status":0,\
"progress":100,"duration":480,"finished":1,"distributionChannel":"email","userLanguage":"RU","QID1":9,\
"QID2_TEXT":"The courier was friendly, but the box was torn open on one side and the manual was missing",\
"customer_id":"c-42"},"labels":{"QID1":"9"},"displayedFields":["QID1","QID2_TEXT"]},\
"meta":{"httpStatus":"200 - OK"}}"""


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's callables
    """Tell the response that the path names."""
    headers = dict(scope["headers"])
    status = 200 if headers.get(b"x-api-token") == TOKEN else 401
    body = HEAD + scope["path"].rpartition("/")[2].encode() + TAIL
    told = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_config=None, lifespan="off", access_log=False)
