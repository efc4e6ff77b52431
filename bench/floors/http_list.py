"""The floor of lists: uvicorn with a bare ASGI app that runs one statement and answers with its rows as JSON.

python -m bench.floors.http_list PORT DSN STATEMENTS     by path: {"/open": [SQL, [parameters]], …} in a file, JSON
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import uvicorn

PORT, DSN = int(sys.argv[1]), sys.argv[2]
STATEMENTS: dict[str, tuple[str, list[Any]]] = msgspec.json.decode(Path(sys.argv[3]).read_bytes())
encode = msgspec.json.Encoder().encode
pool: list[asyncpg.Pool] = []


def parameter(value: object) -> object:
    """Instants come as text."""
    return datetime.fromisoformat(value[1:]) if isinstance(value, str) and value.startswith("@") else value


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI as it is
    """Answer one request."""
    if scope["type"] == "lifespan":
        await receive()
        pool.append(await asyncpg.create_pool(DSN, min_size=10, max_size=10, server_settings={"jit": "off"}))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await pool[0].close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    sql, parameters = STATEMENTS[scope["path"]]
    rows = await pool[0].fetch(sql, *map(parameter, parameters))
    answer = encode([dict(row) for row in rows])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=PORT,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="on",
    )
