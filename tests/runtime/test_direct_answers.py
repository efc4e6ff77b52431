"""What is answered without ASGI between: in order, on a kept connection, and only where the app takes it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httptools
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from deploy.local.ports import free_ports
from libs.events.direct_protocol import MOST_BYTES, Answer, DirectProtocol, Headers, plain_request, rendered


def a_request(path: str = "/hooks/a", body: bytes = b"now", *, method: str = "POST", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


@dataclass
class App:
    """Takes directly what says `now` or `later`; answers through ASGI with its body backwards."""

    prefix: bytes = b"/hooks/"
    taken: list[str] = field(default_factory=list)
    later: list[Callable[[Answer], None]] = field(default_factory=list)

    @property
    def direct(self) -> "App":
        return self

    def take(self, name: str, _headers: Headers, body: bytes, answer: Callable[[Answer], None]) -> bool:
        if body == b"now":
            answer(direct(b"at once"))
        elif body.startswith(b"later"):
            self.later.append(answer)
        else:
            return False
        self.taken.append(name)
        return True

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = b"asgi: " + body[:40][::-1]
        length = str(len(content)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": content})


def direct(content: bytes) -> Answer:
    return 202, rendered([(b"content-length", str(len(content)).encode())]), content


class Client:
    """One connection; answers in the order in which they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = httptools.HttpResponseParser(self)
        self.bodies: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self._whole = 0

    def on_message_begin(self) -> None:
        self.bodies.append(b"")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.bodies[-1] += body

    def on_message_complete(self) -> None:
        self._whole += 1

    def send(self, content: bytes) -> None:
        self._writer.write(content)

    async def answers(self, amount: int) -> list[bytes]:
        """The next answers."""
        async with asyncio.timeout(60):
            while self._whole < amount:
                content = await self._reader.read(65_536)
                assert content, "the connection ended"
                self._parser.feed_data(content)
        found, self.bodies, self._whole = self.bodies, [], 0
        return found

    async def ended(self) -> None:
        async with asyncio.timeout(60):
            assert await self._reader.read() == b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def server(app: App) -> AsyncIterator[uvicorn.Server]:
    [port] = free_ports(1)
    config = uvicorn.Config(app, port=port, http=DirectProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    await server.on_tick(0)  # says what the time is
    yield server
    await server.shutdown()


@pytest.fixture
async def client(server: uvicorn.Server) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", server.config.port))
    yield client
    client.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


async def test_one_connection_gets_direct_and_other_answers(app: App, client: Client) -> None:
    for _ in range(2):
        client.send(a_request())
        assert await client.answers(1) == [b"at once"]
        client.send(a_request(body=b"other"))
        assert await client.answers(1) == [b"asgi: rehto"]
    assert app.taken == ["a", "a"]
    assert b"date" in dict(client.headers)


@pytest.mark.parametrize(
    "request_",
    [
        a_request("/elsewhere/a"),
        a_request("/hooks/"),
        a_request("/hooks/a/token"),
        a_request("/hooks/%61"),
        a_request("/hooks/a?b=c"),
        a_request(method="PUT"),
        a_request(more="expect: 100-continue\r\n"),
        a_request(body=b"now".ljust(MOST_BYTES + 1)),
        b"POST /hooks/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnow\r\n0\r\n\r\n",
        b"POST /hooks/a HTTP/1.0\r\nhost: x\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\nnow",
        a_request(more="connection: close\r\n"),
        a_request(more="connection: upgrade\r\nupgrade: h2c\r\n"),
    ],
    ids=lambda request: request[:50].decode(),
)
async def test_what_is_not_simple_goes_the_usual_way(app: App, client: Client, request_: bytes) -> None:
    client.send(request_)
    [body] = [body for body in await client.answers(1) if body] or await client.answers(1)
    assert body.startswith(b"asgi: ")
    assert not app.taken


@pytest.mark.parametrize("piece", [1, 7, 60])
async def test_a_request_may_come_in_pieces(client: Client, piece: int) -> None:
    whole = a_request() + a_request(body=b"other")
    for place in range(0, len(whole), piece):
        client.send(whole[place : place + piece])
        await asyncio.sleep(0)
    assert await client.answers(2) == [b"at once", b"asgi: rehto"]


async def test_requests_sent_ahead_are_answered_in_their_order(app: App, client: Client) -> None:
    client.send(a_request(body=b"later") + a_request() + a_request(body=b"other") + a_request())
    await until(lambda: len(app.later) == 1)
    app.later[0](direct(b"first"))
    assert await client.answers(4) == [b"first", b"asgi: won", b"asgi: rehto", b"asgi: won"]


async def test_whoever_has_hung_up_is_not_answered(app: App, client: Client, server: uvicorn.Server) -> None:
    client.send(a_request(body=b"later"))
    await until(lambda: len(app.later) == 1)
    client.close()
    await until(lambda: not server.server_state.connections)
    app.later[0](direct(b"nobody hears"))


async def test_what_is_under_way_is_answered_before_the_server_ends(
    app: App, client: Client, server: uvicorn.Server
) -> None:
    client.send(a_request(body=b"later"))
    await until(lambda: len(app.later) == 1)
    ending = asyncio.create_task(server.shutdown())
    await until(lambda: not server.servers[0].is_serving())
    await asyncio.sleep(0)
    app.later[0](direct(b"the last"))
    assert await client.answers(1) == [b"the last"]
    assert (b"connection", b"close") in client.headers
    await client.ended()
    await ending


class Seen:
    """What the parser finds in one request."""

    def __init__(self, content: bytes) -> None:
        self.url, self.body, self.whole = b"", b"", 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(content)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


START = "POST /hooks/a HTTP/1.1\r\n"
OTHER_STARTS = (
    "POST /hooks/a/b HTTP/1.1\r\n",
    "POST  /hooks/a HTTP/1.1\r\n",
    "post /hooks/a HTTP/1.1\r\n",
    "POST /hooks/a HTTP/1.1\n",
    "POST /hooks/a HTTP/1.10\r\n",
    "\r\nPOST /hooks/a HTTP/1.1\r\n",
    "POST /hooks/ä HTTP/1.1\r\n",
)
STARTS = st.sampled_from([START] * len(OTHER_STARTS) + list(OTHER_STARTS))
NAMES = st.sampled_from(
    ["Webhook-Id", "host", "X", "Content-Length", "connection", "Transfer-Encoding", "x_y", "x y", ""]
)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=12)
KNOWN = st.sampled_from(
    ["3", "03", "+3", "3, 3", "", " ", "keep-alive", "Keep-Alive", "close", "chunked", "a  b", "a\tb", "é"]
)
COLONS = st.sampled_from([": "] * 6 + [":", " : ", ":  ", ""])
ENDS = st.sampled_from(["\r\n"] * 6 + ["\n", "\r", " \r\n", "\r\n ", "\t\r\n"])
LINES = st.lists(st.tuples(NAMES, COLONS, KNOWN | TEXTS, ENDS), max_size=4)
LENGTHS = st.sampled_from(["", "content-length: 3\r\n"])
BODIES = st.sampled_from([b"now"] * 4 + [b"", b"no", b"nowPOST /hooks/a HTTP/1.1\r\n\r\n", b"now\r\n"])


@given(start=STARTS, lines=LINES, length=LENGTHS, body=BODIES)
@settings(max_examples=400)
def test_what_is_read_as_plain_the_parser_reads_in_the_same_way(
    start: str,
    lines: list[tuple[str, str, str, str]],
    length: str,
    body: bytes,
) -> None:
    head = start + length + "".join("".join(line) for line in lines) + "\r\n"
    content = head.encode("latin-1") + body
    plain = plain_request(b"/hooks/", content)
    if plain is None:
        return
    seen = Seen(content)
    assert (seen.parser.get_method(), seen.parser.get_http_version(), seen.whole) == (b"POST", "1.1", 1)
    assert seen.parser.should_keep_alive()
    assert not seen.parser.should_upgrade()
    assert (f"/hooks/{plain[0]}".encode(), plain[1], plain[2]) == (seen.url, seen.headers, seen.body)


def test_what_senders_send_is_plain() -> None:
    sent = a_request(more="User-Agent: Svix-Webhooks/1.65 (of 2026)\r\nAccept: */*\r\nConnection: Keep-Alive\r\n")
    plain = plain_request(b"/hooks/", sent)
    assert plain is not None
    assert plain[0] == "a"
    assert dict(plain[1])[b"user-agent"] == b"Svix-Webhooks/1.65 (of 2026)"
    assert plain[2] == b"now"
    assert plain_request(b"/hooks/", sent[:-1]) is None
    assert plain_request(b"/hooks/", sent + b"P") is None
    assert plain_request(b"/other/", sent) is None


async def test_a_connection_that_was_answered_directly_and_is_not_used_any_more_is_closed(
    app: App, server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectProtocol, "look_seconds", 0.1)
    server.config.timeout_keep_alive = 1
    used = Client(*await asyncio.open_connection("127.0.0.1", server.config.port))
    busy = Client(*await asyncio.open_connection("127.0.0.1", server.config.port))
    used.send(a_request())
    busy.send(a_request(body=b"later"))
    assert await used.answers(1) == [b"at once"]
    await used.ended()
    used.close()
    app.later[0](direct(b"still there"))
    assert await busy.answers(1) == [b"still there"]
    await busy.ended()
    busy.close()
