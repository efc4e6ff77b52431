"""Notify on a real database and a real mail server: deliveries as the runtime makes them, and what went out."""

import asyncio
import email
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from inspect import isawaitable
from pathlib import Path
from typing import Any, AnyStr, Final
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import Row, text

from libs.events import inbox, outbox
from libs.events.codec import Record, decode
from libs.events.contracts.cases import (
    CaseAssigned,
    CaseClockBreached,
    CaseClockWarned,
    CaseClosed,
    CaseEscalated,
    CaseReopened,
    CaseResolved,
    Employee,
)
from libs.events.contracts.customers import CustomerErased, CustomerProfileChanged
from libs.events.contracts.initiatives import InitiativeShipped
from libs.events.contracts.scores import ResponseScored
from libs.events.crashpoint import VARIABLE
from libs.events.database import Database, Tx
from libs.events.event import Contract, Event
from libs.webapi import keys
from services.notify.api import build_app
from services.notify.clients import MailServer, Receipts
from services.notify.domain.messages import Notice, Status, message_id
from services.notify.handlers import cases_handler, handle_customers, handle_initiatives, handle_scores
from services.notify.jobs import Attendant, Sender
from services.notify.journal import Journal
from services.notify.letters import Letters
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from services.notify.presence import Presence
from services.notify.store import ledger

MONDAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANNA: Final = Employee(employee_id="e-anna", name="Анна Петрова", email="anna@company.example", language="ru")
BOSS: Final = Employee(employee_id="e-boss", name="Mary Boss", email="mary@company.example", language="en")
PROFILE_WAIT: Final = timedelta(minutes=15)
ROOT: Final = Path(__file__).parents[3]
DEADLINE_SECONDS: Final = 60.0

Handle = Callable[[Tx, Sequence[Event[Any]]], Awaitable[None]]
Victim = Callable[..., Awaitable[asyncio.subprocess.Process]]
Action = Any
"""What the mail server is told to do; see MailTrap."""

_ROWS = text("SELECT *, CAST(facts AS text) AS facts_text FROM messages ORDER BY created_at, id")
_ROUNDS = text("SELECT * FROM confirmations ORDER BY case_id, round")
_CLEAR = text(
    "TRUNCATE profiles, messages, confirmations, inbox, outbox, waits, suppressions, soft_bounces, contact_choices, "
    "contact_rules, providers, employee_chats"
)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(service_database: Callable[[str], str], clock: Clock) -> AsyncIterator[Database]:
    database = Database.connect(service_database("notify"), pool_size=12, clock=clock)
    yield database
    await database.close()


class World:
    """What happens outside notify, and what can be seen of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.handle_cases = cases_handler(profile_wait=PROFILE_WAIT)
        self._versions: dict[str, int] = {}
        self._profiles = 0

    def event(self, payload: Contract, subject: str, name: str | None = None) -> Event[Any]:
        """An event; `name` makes two of them the same one."""
        named = name or f"{payload.TYPE}/{subject}/{getattr(payload, 'version', self._profiles)}"
        id_ = uuid5(NAMESPACE_URL, named)
        return Event.root(id_, payload, subject=subject, time=MONDAY, source="/test", traceparent=f"00-{'a' * 32}-b-01")

    def profile(self, customer_id: str = "c-1", **changes: object) -> Event[Any]:
        self._profiles += 1
        members: dict[str, Any] = {
            "customer_id": customer_id,
            "version": self._profiles,
            "name": "Иван Иванов",
            "email": f"{customer_id}@mail.example",
            "phone": None,
            "language": "ru",
            "time_zone": "Europe/Moscow",
            "account_id": None,
            "account_name": None,
            "account_role": None,
            "tier": "key",
            "tier_reason": "value",
        }
        return self.event(CustomerProfileChanged(**(members | changes)), customer_id)

    def erasure(self, customer_id: str = "c-1") -> Event[Any]:
        self._profiles += 1
        return self.event(CustomerErased(customer_id=customer_id), customer_id)

    def assigned(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "owner": ANNA,
            "previous_owner_id": None,
            "reason": "load",
            "tier": "key",
            "score": 3,
            "first_contact_due_at": MONDAY + timedelta(hours=48),
        }
        return self._case(CaseAssigned, case_id, members | changes)

    def warned(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"clock": "first_contact", "due_at": MONDAY + timedelta(hours=48), "owner": ANNA}
        return self._case(CaseClockWarned, case_id, members | changes)

    def breached(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"clock": "first_contact", "due_at": MONDAY, "owner": ANNA, "responsible": BOSS}
        return self._case(CaseClockBreached, case_id, members | changes)

    def resolved(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "round": 1,
            "root_cause": "billing",
            "agent_id": "e-anna",
            "agent_name": "Анна Петрова",
            "answered_at": MONDAY - timedelta(days=9),
            "confirm_by": MONDAY + timedelta(days=7),
        }
        return self._case(CaseResolved, case_id, members | changes)

    def reopened(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {"round": 1, "reason": "by_hand", "owner": ANNA}
        return self._case(CaseReopened, case_id, members | changes)

    def escalated(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "from_level": "frontline",
            "to_level": "management",
            "reason": "not_solved",
            "responsible": BOSS,
            "owner": ANNA,
        }
        return self._case(CaseEscalated, case_id, members | changes)

    def closed(self, case_id: str = "case-1", **changes: object) -> Event[Any]:
        return self._case(CaseClosed, case_id, {"outcome": "unconfirmed", **changes})

    def _case(self, contract: type[Contract], case_id: str, members: dict[str, Any]) -> Event[Any]:
        version = self._versions[case_id] = self._versions.get(case_id, 0) + 1
        whole = {"case_id": case_id, "customer_id": "c-1", "version": version, **members}
        return self.event(contract(**whole), case_id)

    def thanks(self, customer_id: str, name: str) -> Notice:
        """A message that customers can do without."""
        cause = uuid5(NAMESPACE_URL, name)
        recipient = f"customer:{customer_id}"
        return Notice(
            id=message_id(cause, recipient),
            cause_id=cause,
            kind="thanks",
            recipient=recipient,
            case_id=None,
            case_version=1,
            customer_id=customer_id,
            employee_id=None,
            employee=None,
            facts={"agent": None, "answered_at": MONDAY.isoformat()},
        )

    async def thank(self, *names: str, customer_id: str = "c-1") -> None:
        """Put messages of thanks into the ledger, one for each name."""
        async with self.database.transaction() as tx:
            noted = [(self.thanks(customer_id, name), Status.QUEUED, None) for name in names]
            await ledger.write(tx, noted, profile_by=tx.now)

    async def cases(self, *events: Event[Any]) -> None:
        """A batch of the topic of cases."""
        await self._deliver("notify.cases", self.handle_cases, events)

    async def customers(self, *events: Event[Any]) -> None:
        """A batch of the topic of customers."""
        await self._deliver("notify.customers", handle_customers, events)

    async def scores(self, *events: Event[Any]) -> None:
        """A batch of the topic of scores."""
        await self._deliver("notify.scores", handle_scores, events)

    async def initiatives(self, *events: Event[Any]) -> None:
        """A batch of the topic of initiatives."""
        await self._deliver("notify.initiatives", handle_initiatives, events)

    def scored(self, response_id: str, customer_id: str | None, **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "response_id": response_id,
            "revision": 1,
            "program": "relationship",
            "touchpoint": None,
            "kind": "relationship",
            "metric": "nps",
            "score": 3,
            "nps_class": "detractor",
            "comment": None,
            "customer_id": customer_id,
            "account_id": None,
            "tier": "key",
            "tier_reason": "value",
            "language": "ru",
            "instrument_id": "i",
            "instrument_version": 1,
            "answered_at": MONDAY - timedelta(days=9),
        }
        whole = members | changes
        return self.event(ResponseScored(**whole), response_id, f"scored/{response_id}/{whole['revision']}")

    def shipped(self, initiative_id: str = "i-1", **changes: object) -> Event[Any]:
        members: dict[str, Any] = {
            "initiative_id": initiative_id,
            "version": 5,
            "title": "Перезваниваем сами",
            "root_causes": ("no-callback",),
            "themes": ("waiting",),
            "department_id": "care",
            "owner": ANNA,
            "communicate_by": MONDAY + timedelta(days=30),
            "learned": "Ждали долго.",
            "changed": "Перезваниваем.",
            "next_steps": None,
        }
        return self.event(InitiativeShipped(**(members | changes)), initiative_id)

    async def _deliver(self, consumer: str, handle: Handle, events: Sequence[Event[Any]]) -> None:
        async with self.database.transaction() as tx:
            new = await inbox.mark(tx, consumer, [(event.id, event.id) for event in events])
            fresh = [event for event in events if event.id in new]
            if fresh:
                await handle(tx, fresh)

    async def rows(self) -> Sequence[Row[Any]]:
        """The ledger."""
        async with self.database.reading() as tx:
            return await tx.fetch(_ROWS)

    async def row(self) -> Row[Any]:
        """The only message of the ledger."""
        (row,) = await self.rows()
        return row

    async def rounds(self) -> Sequence[Row[Any]]:
        async with self.database.reading() as tx:
            return await tx.fetch(_ROUNDS)

    async def questions(self) -> list[Row[Any]]:
        """Of the ledger, what customers are asked."""
        return [row for row in await self.rows() if row.kind == "confirmation_request"]

    async def statuses_of_questions(self) -> list[tuple[str, str, str | None]]:
        return [(row.recipient, row.status, row.reason) for row in await self.questions()]

    async def statuses(self) -> list[tuple[str, str, str | None]]:
        return [(row.recipient, row.status, row.reason) for row in await self.rows()]

    async def published(self) -> list[Event[Any]]:
        """What waits in the outbox, in order; it stays there."""
        async with self.database.engine.connect() as connection:
            waiting = await outbox.oldest(connection, 10_000)
        events = []
        for row in waiting:
            record = Record(row.record.topic, 0, row.id, row.record.key.encode(), row.record.value, row.record.headers)
            event = decode(record)
            assert event is not None
            events.append(event)
        return events

    async def published_types(self) -> list[str]:
        return [event.type.removesuffix(".v1") for event in await self.published()]

    async def clear(self) -> None:
        """Begin anew, for each example of a property."""
        async with self.database.transaction() as tx:
            await tx.execute(_CLEAR)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    """Waits until a condition holds, and not for ever."""

    async def wait(condition: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@dataclass(repr=False)
class MailTrap:
    """A real mail server that does as it is told at each stage: greeting, EHLO, MAIL, RCPT, DATA, dot.

    What it does: an answer ("451 4.3.0 later"), `hang` (says nothing), `cut` (closes the line), or a call that may
    return one of these. At `dot` an answer means that the mail is not taken; `keep, then cut` and `keep, then hang`
    take it and say nothing.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    script: dict[str, list[Any]] = field(default_factory=dict)
    sessions: int = 0
    pipelines: bool = True
    """Whether it offers PIPELINING."""
    stages: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _lines: set[Any] = field(default_factory=set)

    def tell(self, stage: str, *actions: Action) -> None:
        """What to do the next times at `stage`; None is the usual."""
        self.script.setdefault(stage, []).extend(actions)

    def forget(self) -> None:
        """Begin anew, for each example of a property."""
        self.mails.clear()
        self.envelopes.clear()
        self.script.clear()

    def next(self, stage: str) -> Action:
        self.stages.append(stage)
        waiting = self.script.get(stage)
        return waiting.pop(0) if waiting else None

    def keep(self, envelope: Envelope) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.envelopes.append(envelope)

    async def handle_EHLO(  # noqa: N802
        self, _server: "_Line", session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.pipelines:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_DATA(self, server: "_Line", _session: Session, envelope: Envelope) -> str:  # noqa: N802
        action = await done(self.next("dot"))
        if isinstance(action, str) and action.startswith("keep, then "):
            self.keep(envelope)
            action = action.removeprefix("keep, then ")
        if action is None:
            self.keep(envelope)
            return "250 2.0.0 taken"
        return await server.act(action) or "250 2.0.0 taken"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no connections any more, and cut those that are open."""
        if self._server is not None:
            self._server.close()
        for line in list(self._lines):
            if line.transport is not None:
                line.transport.abort()
        self._lines.clear()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def received(self) -> list[tuple[str, str]]:
        """Who got which Message-ID."""
        return [
            (envelope.rcpt_tos[0], str(mail["Message-ID"]))
            for envelope, mail in zip(self.envelopes, self.mails, strict=True)
        ]


async def done(action: Action) -> Action:
    """What is left to do after a call, if it is one."""
    if callable(action):
        action = action()
    return await action if isawaitable(action) else action


class _Line(SMTP):
    """One connection to the trap."""

    def __init__(self, trap: MailTrap) -> None:
        super().__init__(trap, hostname="trap.example", enable_SMTPUTF8=True, timeout=60)
        self._trap = trap
        self._greeted = False
        trap.sessions += 1
        trap._lines.add(self)

    async def act(self, action: Action) -> str | None:
        """Do as told; the answer to give, if any."""
        action = await done(action)
        match action:
            case "cut":
                assert isinstance(self.transport, asyncio.Transport)
                self.transport.abort()
                await asyncio.Event().wait()
            case "hang":
                await asyncio.Event().wait()
        return action if isinstance(action, str) else None

    async def push(self, status: AnyStr) -> None:
        if not self._greeted:
            self._greeted = True
            action = self._trap.next("greeting")
            if action is not None:
                await super().push(await self.act(action) or "220 trap.example")
                return
        await super().push(status)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        await self._stage("EHLO", super().smtp_EHLO, hostname)

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802
        await self._stage("MAIL", super().smtp_MAIL, arg)

    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802
        await self._stage("RCPT", super().smtp_RCPT, arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        await self._stage("DATA", super().smtp_DATA, arg)

    async def _stage(self, stage: str, usual: Callable[[str], Awaitable[None]], arg: str) -> None:
        action = self._trap.next(stage)
        answer = None if action is None else await self.act(action)
        if answer is None:
            await usual(arg)
        else:
            await self.push(answer)


@pytest.fixture
async def trap() -> AsyncIterator[MailTrap]:
    trap = MailTrap()
    await trap.start()
    yield trap
    await trap.stop()


@pytest.fixture
async def receipts(trap: MailTrap) -> AsyncIterator[tuple[Receipts, list[Any]]]:
    """The receiving side as it can be asked, over HTTP; the list holds what it answers instead, once each."""
    instead: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        listed = [{"id": str(number), "message_id": str(mail["Message-ID"])} for number, mail in enumerate(trap.mails)]
        status, body = instead.pop(0) if instead else ("200 OK", json.dumps(listed))
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(f"{head}{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receipts = Receipts(f"http://127.0.0.1:{port}/api/messages", timeout=timedelta(seconds=5))
    yield receipts, instead
    await receipts.close()
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def links() -> ConfirmationLinks:
    return ConfirmationLinks("https://otklik.example", ["the present secret, thirty-two characters"])


@pytest.fixture(scope="session")
def letters(links: ConfirmationLinks) -> Letters:
    return Letters(
        sender=Mailbox("Ромашка", "care@romashka.example"),
        links=links,
        portal_url="https://portal.example",
        time_zone="Europe/Moscow",
    )


class Post:
    """The sending half of a process, and its life: more than one can run, and each can be killed."""

    def __init__(self, world: World, trap: MailTrap, letters: Letters, receipts: Receipts | None = None) -> None:
        self.world = world
        self.server = MailServer(trap.url, connections=4, timeout=timedelta(seconds=1))
        self.journal = Journal(world.database)
        self.presence = Presence(world.database)
        self.sender = Sender(
            database=world.database,
            server=self.server,
            letters=letters,
            journal=self.journal,
            presence=self.presence,
            connections=4,
        )
        self.attendant = Attendant(
            database=world.database,
            letters=letters,
            receipts=receipts,
            doubt_settles=timedelta(minutes=2),
            ask_every=timedelta(0),
        )

    async def rest(self) -> None:
        """Step until nothing is due and nothing is in flight."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while await self.sender.step() or self.sender._in_flight:
            assert time.monotonic() < deadline, "the sender does not come to rest"
            await asyncio.sleep(0.001)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Step until `condition`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            await self.sender.step()
            await asyncio.sleep(0.001)

    async def killed(self) -> None:
        """The process is gone: nothing is finished, nothing is noted, its connections end."""
        for task in self.sender._in_flight:
            task.cancel()
        await asyncio.gather(*self.sender._in_flight, return_exceptions=True)
        self.sender._in_flight.clear()
        await self.presence.leave()
        while self.server._idle:
            self.server._idle.pop()[0].close()

    async def close(self) -> None:
        await self.sender.close()


@pytest.fixture
async def a_post(world: World, trap: MailTrap, letters: Letters) -> AsyncIterator[Callable[..., Post]]:
    made: list[Post] = []

    def make(receipts: Receipts | None = None) -> Post:
        made.append(Post(world, trap, letters, receipts))
        return made[-1]

    yield make
    for post in made:
        await post.killed()


@pytest.fixture
def post(a_post: Callable[..., Post]) -> Post:
    return a_post()


@pytest.fixture
async def client(database: Database, links: ConfirmationLinks) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP app, as an operator's service with all rights."""
    app = build_app(
        database, links=links, sender=Mailbox("Ромашка", "care@romashka.example"), time_zone="Europe/Moscow"
    )
    async with database.transaction() as tx:
        key = await keys.create_key(
            tx,
            name="operator",
            scopes=[
                "messages:read",
                "messages:write",
                "templates:write",
                "campaigns:read",
                "campaigns:write",
                "contacts:write",
                "bounces:write",
                "providers:write",
                "on-behalf",
            ],
        )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://notify.test", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


class Gateway:
    """A provider on this machine: remembers keys, and answers as it is told (`cut`: takes it and hangs up)."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.sent: dict[str, Any] = {}
        self.script: list[Any] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
            }
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            self.asked.append((headers, body))
            action = self.script.pop(0) if self.script else 200
            if action in (200, "cut"):
                self.sent[headers.get("x-key", str(len(self.asked)))] = body
            if callable(action):
                action()
                await reader.read()  # until who asked is gone
            if action != "cut":
                answer = b'{"status": "ok"}'
                writer.write(
                    f"HTTP/1.1 {action} X\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        writer.close()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def victim(database: Database, trap: MailTrap, tmp_path: Path) -> AsyncIterator[Victim]:
    """Starts a process that sends; it kills itself at a point of its own, or of `libs.events.crashpoint`."""
    started: list[asyncio.subprocess.Process] = []
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def start(kill_point: str = "") -> asyncio.subprocess.Process:
        if "." in kill_point:
            (tmp_path / kill_point).touch()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("sending_process.py")),
            url,
            trap.url,
            *([kill_point] if kill_point else []),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: str(tmp_path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
