"""The receivers of web hooks: they take events, fail, hang or are gone for good, and count for themselves.

Three end points: `/good` fails now and then at the first attempt, `/slow` never answers some of them and is slow with
the others, `/gone` answers 410 after a few. No event fails by them twice, because the third attempt is five minutes
after the second.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from faults.proxy import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

EndPoint = Literal["good", "slow", "gone"]
END_POINTS: Final[tuple[EndPoint, ...]] = get_args(EndPoint)
TIMEOUT_S: Final = 3
"""How long notify waits for an answer here."""
_TAKEN_BEFORE_GONE: Final = 3
_SLOWLY_S: Final = 0.3
_HANGS_S: Final = 60.0
_LONGEST_HEAD: Final = 1 << 16
_HUGE: Final = b"x" * 200_000


@dataclass(frozen=True, slots=True)
class Got:
    """One delivery that was taken."""

    event_id: str
    type: str
    while_slow_hung: bool
    """Whether at that moment the slow receiver let somebody wait."""


class HookSink:
    """An HTTP server with three end points, and what came to each."""

    def __init__(self, *, port: int, door: int, random: Random) -> None:
        """`door`: the port at which others find it."""
        self.port: Final = port
        self._door = door
        self.secrets: Final[dict[EndPoint, str]] = {}
        """With which each is signed; told by whoever subscribed it."""
        self.taken: Final[dict[EndPoint, list[Got]]] = {name: [] for name in END_POINTS}
        self.odd: Final[list[str]] = []
        """Deliveries with a signature that is none, or not of what they bring."""
        self.hung = 0
        """How many deliveries were never answered."""
        self.after_gone = 0
        """How many came after the first 410."""
        self._random = random
        self._met: Final[dict[EndPoint, set[str]]] = {name: set() for name in END_POINTS}
        self._hanging = 0
        self._gone = False
        self._behaves = True
        self._server: asyncio.Server | None = None

    def url(self, name: EndPoint) -> str:
        """Where an end point is."""
        return f"http://{LOOPBACK}:{self._door}/{name}"

    def behave(self) -> None:
        """Take everything at once from now on, but for what is gone."""
        self._behaves = False

    @property
    def is_gone(self) -> bool:
        """Whether anybody was told 410 yet."""
        return self._gone

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port, limit=_LONGEST_HEAD)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                name = next((each for each in END_POINTS if line.split(" ")[1] == f"/{each}"), None)
                if name is None:
                    self.odd.append(f"a delivery to nobody: {line}")
                    return
                status, content = await self._answer(name, headers, body, reader)
                writer.write(b"HTTP/1.1 %d .\r\ncontent-length: %d\r\n" % (status, len(content)))
                writer.write(b"location: http://127.0.0.1:1/\r\n\r\n" if status == 302 else b"\r\n")  # noqa: PLR2004
                writer.write(content)
                await writer.drain()
        except (EOFError, ConnectionError):
            return  # whoever called has hung up
        finally:
            writer.close()

    async def _answer(
        self, name: EndPoint, headers: Mapping[str, str], body: bytes, reader: asyncio.StreamReader
    ) -> tuple[int, bytes]:
        event_id = headers.get("webhook-id", "")
        said = self._read(name, event_id, headers, body)
        first = event_id not in self._met[name]
        self._met[name].add(event_id)
        chance = self._random.random()
        match name:
            case "gone" if len(self.taken["gone"]) >= _TAKEN_BEFORE_GONE:
                self.after_gone += self._gone
                self._gone = True
                return 410, b""
            case "good" if first and self._misbehaves(chance, 0.06):
                return (500, b"broken") if chance < 0.04 else (302, b"")  # noqa: PLR2004
            case "slow" if first and self._misbehaves(chance, 0.3):
                await self._hang(reader)
                return 500, b"too late"
            case "slow":
                await asyncio.sleep(_SLOWLY_S)
            case _:
                pass
        self.taken[name].append(Got(event_id, said, self._hanging > 0))
        return 200, _HUGE if chance > 0.98 else b""  # noqa: PLR2004 - now and then

    def _misbehaves(self, chance: float, share: float) -> bool:
        return self._behaves and chance < share

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        """Say nothing until whoever waits has given up."""
        self.hung += 1
        self._hanging += 1
        try:
            async with asyncio.timeout(_HANGS_S):
                await reader.read(1)
        except TimeoutError:
            self.odd.append("somebody waited for a receiver that hangs")
        finally:
            self._hanging -= 1

    def _read(self, name: EndPoint, event_id: str, headers: Mapping[str, str], body: bytes) -> str:
        """The type of what came, if it is signed by the end point's own secret."""
        key = base64.b64decode(self.secrets[name].removeprefix("whsec_"))
        signed = b"%s.%s.%s" % (event_id.encode(), headers.get("webhook-timestamp", "").encode(), body)
        wanted = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        said = json.loads(body)
        if wanted not in headers.get("webhook-signature", "").split() or said["id"] != event_id:
            self.odd.append(f"{event_id} at {name} is not what its signature says")
        return str(said["type"])
