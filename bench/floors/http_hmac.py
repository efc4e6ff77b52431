"""The floor of ingest: uvicorn with a bare ASGI app that reads a body, checks its HMAC-SHA256 and answers.

python -m bench.floors.http_hmac PORT SECRET-IN-HEX
"""

from __future__ import annotations

import base64
import hmac
import sys
from typing import Any

import uvicorn

PORT, SECRET = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
ANSWER = b'{"delivery_id":"00000000-0000-0000-0000-000000000000","status":"accepted","event_ids":[]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI as it is
    """Answer one request."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = dict(scope["headers"])
    signed = b"%b.%b.%b" % (headers[b"webhook-id"], headers[b"webhook-timestamp"], body)
    expected = b"v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256"))
    status = 202 if hmac.compare_digest(headers[b"webhook-signature"], expected) else 401
    await send({"type": "http.response.start", "status": status, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=PORT,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
    )
