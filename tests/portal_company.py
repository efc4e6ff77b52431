"""A small company for the portal's tests: the real portal and the four services, each over its own real database.

The services speak HTTP in-process. What Kafka does between them, `carry` does here: events that casework has in its
outbox are decoded and given to the portal's handler.
"""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx
from pydantic import SecretStr

from deploy.local.preparation import PORTAL_SCOPES
from libs.events import outbox
from libs.events.codec import Record, decode
from libs.events.contracts.cases import Employee
from libs.events.contracts.customers import CustomerProfileChanged
from libs.events.contracts.initiatives import InitiativeShipped
from libs.events.contracts.responses import Instrument, ResponseReceived
from libs.events.contracts.scores import ResponseScored
from libs.events.database import Database
from libs.events.dead_letters import Entry
from libs.events.event import Contract, Event
from libs.events.testing import MemoryBroker
from libs.events.topics import DECISIONS, TOPICS, Topic
from libs.webapi.keys import create_key
from services.casework.api import build_app as casework_app
from services.casework.domain.names import AgentId
from services.casework.domain.recognition import Standing
from services.casework.handlers import handle_customers, handle_scores
from services.casework.store import recognition
from services.casework.store.attachment_files import AttachmentFiles
from services.ingest.api import build_app as ingest_app
from services.notify.api import build_app as notify_app
from services.notify.digest_reports import Reports
from services.notify.handlers import handle_customers as notify_customers
from services.notify.handlers import handle_initiatives
from services.notify.handlers import handle_scores as notify_scores
from services.notify.links import ConfirmationLinks
from services.notify.mime import Mailbox
from services.notify.shipping import ship
from services.portal.accounts import Passwords, create_person
from services.portal.api import create
from services.portal.broadcast import Broadcast
from services.portal.clients import Casework, Ingest, Notify, Scoring, Service
from services.portal.clients.dead_letters import DeadLetters
from services.portal.handlers import EventsHandler
from services.portal.settings import Settings
from services.scoring.api import build_app as scoring_app
from services.scoring.domain.comments.suggestions import Suggestion
from services.scoring.handlers import score_responses
from services.scoring.store import comments, theme_suggestions
from tests.portal_first_day import AGENTS, EMPTY, FIRST_SETTINGS, LARGEST_FILE, LINKS, PEOPLE, QUICK, UNORGANISED
from tests.portal_lines import Line, SetClock
from tests.portal_visitor import PASSWORD, Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from fastapi import FastAPI


@dataclass
class Company:
    """Everything that a test of the portal stands on."""

    clock: SetClock
    databases: Mapping[str, Database]
    lines: Mapping[str, Line]
    settings: Settings
    broadcast: Broadcast
    app: FastAPI
    handler: EventsHandler
    broker: MemoryBroker
    scoring_key: str
    """Of one who may load customers."""

    @property
    def database(self) -> Database:
        """The portal's own."""
        return self.databases["portal"]

    async def renew(self) -> None:
        """As on the first day: the same people, and nothing has happened. Cheaper than new databases by far."""
        self.clock.shift = timedelta()
        self.broker.available = True
        for topic in TOPICS:
            for consumer in topic.consumers:
                for name in (topic.dead_letters(consumer), topic.replays(consumer)):
                    self.broker.create_topic(name, 1)
        self.broker.create_topic(DECISIONS, 1)
        for line in self.lines.values():
            line.state.error = line.state.answer = None
            line.state.seen.clear()
        for name, statement in EMPTY.items():
            async with self.databases[name].transaction() as tx:
                await tx.execute(statement)
        async with self.databases["casework"].transaction() as tx:
            for statement in UNORGANISED:
                await tx.execute(statement)
        async with self.databases["scoring"].transaction() as tx:
            for statement in FIRST_SETTINGS:
                await tx.execute(statement)
        async with self.database.transaction() as tx:
            for id_, name, role, language in PEOPLE:
                await create_person(
                    tx,
                    person_id=id_,
                    login=id_,
                    name=name,
                    email=f"{id_}@example.org",
                    role=role,
                    language=language,  # type: ignore[arg-type] # of the table above
                    password=PASSWORD,
                    hasher=QUICK,
                )

    async def unhappy(
        self,
        customer: str = "customer-1",
        name: str = "Мария Кузнецова",
        *,
        score: int = 2,
        tier: str = "standard",
        hours_ago: float = 1,
        comment: str | None = "Ждала сорок минут, потом звонок оборвался.",
        **changes: object,
    ) -> str:
        """A customer gives a detractor's answer; the id of the case that it opens."""
        answered_at = self.clock() - timedelta(hours=hours_ago)
        profile = CustomerProfileChanged(
            customer_id=customer,
            version=1,
            name=name,
            email=f"{customer}@example.org",
            phone=None,
            language="ru",
            time_zone="Europe/Moscow",
            account_id=None,
            account_name=None,
            account_role=None,
            tier=tier,  # type: ignore[arg-type] # the tests name tiers
            tier_reason="rule 1",
        )
        scored = self.scored(customer, score=score, tier=tier, answered_at=answered_at, comment=comment, **changes)
        async with self.databases["casework"].transaction() as tx:
            await handle_customers(tx, [self.event(profile, customer)])
        async with self.databases["casework"].transaction() as tx:
            await handle_scores(tx, [scored])
        await self.take(scored)
        await self.carry()
        listed = await self.casework("GET", "/v1/cases", params={"customer": customer})
        case_id: str = listed["items"][0]["id"]
        return case_id

    def scored(self, customer: str, *, score: int, tier: str = "standard", **changes: object) -> Event[Any]:
        """A scored answer, as scoring publishes it."""
        response = str(uuid4())
        members: dict[str, Any] = {
            "response_id": response,
            "revision": 1,
            "program": "Аренда",
            "touchpoint": "branch",
            "kind": "transactional",
            "metric": "nps",
            "score": score,
            "nps_class": "detractor" if score <= 6 else "passive" if score <= 8 else "promoter",
            "comment": None,
            "customer_id": customer,
            "account_id": None,
            "tier": tier,
            "tier_reason": "rule 1",
            "language": "ru",
            "instrument_id": "instrument-1",
            "instrument_version": 1,
            "answered_at": self.clock(),
        }
        payload = ResponseScored(**(members | changes))
        return self.event(payload, response, time=payload.answered_at)

    async def known(self) -> None:
        """Scoring knows two contacts of an account, and one of them is worth much."""
        for number, role in enumerate(("decision_maker", "end_user")):
            body = {
                "name": f"Мария Кузнецова {number}",
                "email": "maria@example.org",
                "language": "ru",
                "time_zone": "Europe/Moscow",
                "account_id": "acme",
                "account_role": role,
                "current_value": 500 * number,
                "attributes": {"plan": "gold"},
            }
            await self.scoring("PUT", f"/v1/customers/customer-{number}", json=body)

    async def measured(
        self,
        *scores: int,
        touchpoint: str | None = "branch",
        kind: str = "transactional",
        question: str = "How likely?",
        days_ago: float = 0,
        comment: str | None = None,
        customer: str | None = None,
    ) -> None:
        """Answers arrive at scoring."""
        now = self.clock() - timedelta(days=days_ago)
        responses = [
            ResponseReceived(
                response_id=str(uuid4()),
                revision=1,
                source="sample",
                vendor_response_id=str(uuid4()),
                program="Аренда",
                touchpoint=touchpoint,
                instrument=Instrument(
                    metric="nps",
                    question=question,
                    scale_min=0,
                    scale_max=10,
                    kind=kind,  # type: ignore[arg-type] # the tests name kinds
                    channel="email",
                ),
                score=score,
                comment=comment,
                customer_id=customer,
                language="ru",
                answered_at=now,
                received_at=now,
            )
            for score in scores
        ]
        async with self.databases["scoring"].transaction() as tx:
            await score_responses(tx, [self.event(each, each.response_id) for each in responses])

    async def suggested(self, *phrases: str) -> None:
        """Scoring found phrases in comments without a theme; the latest comments are their examples."""
        async with self.databases["scoring"].transaction() as tx:
            some = await comments.latest(tx, 3, since=self.clock() - timedelta(days=90), before=self.clock())
            examples = tuple(each.id for each in some)
            found = [Suggestion("ru", phrase, phrase, 7, 30.5, examples) for phrase in phrases]
            await theme_suggestions.finish(tx, found, searched_at=tx.now, rest=timedelta(hours=1))

    async def proposed(self, month: date, *agents: str) -> None:
        """People who closed loops exceptionally well in a month."""
        found = [
            Standing(
                agent_id=AgentId(agent),
                cases=20,
                confirmed=19,
                in_time=20,
                never_reopened=20,
                well=19,
                share=0.95,
                low=0.76,
                high=0.99,
                expected=0.5,
            )
            for agent in agents
        ]
        async with self.databases["casework"].transaction() as tx:
            await recognition.begin(tx, month)
            assert await recognition.propose(tx, month, found) == len(agents)

    async def set_aside(
        self,
        topic: Topic,
        consumer: str,
        *,
        type_: str = "survey.response.scored.v1",
        reason: str = "ValueError: no owner\nfor this customer",
        value: bytes | None = b'{"customer_id": "customer-7", "score": 2, "comment": "terrible"}',
        hours_ago: float = 1,
    ) -> None:
        """A service sets a record aside."""
        at = self.clock() - timedelta(hours=hours_ago)
        headers = (
            ("ce_id", str(uuid4()).encode()),
            ("ce_type", type_.encode()),
            ("ce_subject", b"response-1"),
            ("dlq_reason", reason.encode()),
            ("dlq_consumer", consumer.encode()),
            ("dlq_topic", topic.name.encode()),
            ("dlq_partition", b"2"),
            ("dlq_offset", b"41"),
            ("dlq_key", b"customer-7"),
            ("dlq_attempts", b"5"),
            ("dlq_time", at.isoformat().encode()),
        )
        async with self.broker.log() as log:
            await log.append([Entry(topic.dead_letters(consumer), b"customer-7", value, headers)])

    async def take(self, *events: Event[Any]) -> None:
        """Give events to the portal."""
        async with self.database.transaction() as tx:
            await self.handler(tx, events)

    async def carry(self) -> None:
        """Carry what casework published to the portal, as Kafka does."""
        async with self.databases["casework"].engine.begin() as connection:
            waiting = await outbox.oldest(connection, 1_000)
            await outbox.delete(connection, waiting)
        events = []
        for row in waiting:
            record = row.record
            event = decode(Record(record.topic, 0, row.id, record.key.encode(), record.value, record.headers))
            assert event is not None
            events.append(event)
        if events:
            await self.take(*events)

    async def deliver(self, path: str, body: bytes, **headers: str) -> Any:  # noqa: ANN401 - JSON
        """Post to ingest as a survey vendor does."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        transport = self.lines["ingest"].state.transport
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            answer = await client.post(path, content=body, headers={"content-type": "application/json", **named})
        return answer.json()

    async def ingest(self, method: str, path: str, *, json: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask ingest directly, past the portal."""
        return await self._ask("ingest", self.settings.ingest_key, method, path, json=json)

    async def casework(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: object = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask casework directly, past the portal."""
        return await self._ask("casework", self.settings.casework_key, method, path, params=params, json=json)

    async def casework_as(self, person: str, role: str, method: str, path: str, *, json: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask casework directly in somebody's name."""
        key = self.settings.casework_key
        return await self._ask("casework", key, method, path, json=json, spoken_for=(person, role))

    async def notify(self, person: str, role: str, method: str, path: str, *, json: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask notify directly in somebody's name."""
        key = self.settings.notify_key
        return await self._ask("notify", key, method, path, json=json, spoken_for=(person, role))

    async def scoring(self, method: str, path: str, *, json: object = None) -> Any:  # noqa: ANN401 - JSON
        """Tell scoring directly, past the portal, as an administrator does."""
        return await self._ask("scoring", SecretStr(self.scoring_key), method, path, json=json)

    async def _ask(
        self,
        service: str,
        key: SecretStr,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        spoken_for: tuple[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
        if spoken_for is not None:
            headers |= {"Otklik-Person": spoken_for[0], "Otklik-Role": spoken_for[1]}
        transport = self.lines[service].state.transport
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{service}", headers=headers) as client:
            answer = await client.request(method, path, params=params, json=json)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def attached(self, case_id: str, name: str, person: str) -> None:
        """Somebody attaches a short text to a case."""
        headers = {
            "Authorization": f"Bearer {self.settings.casework_key.get_secret_value()}",
            "Otklik-File-Name": quote(name),
            "Otklik-Person": person,
            "Otklik-Role": "agent",
        }
        transport = self.lines["casework"].state.transport
        async with httpx.AsyncClient(transport=transport, base_url="http://casework", headers=headers) as client:
            answer = await client.post(f"/v1/cases/{case_id}/attachments", content=f"{name}\n".encode())
        assert answer.is_success, answer.text

    async def shipped(self, id_: str = "second-counter", title: str = "Второе окно в обед", **changes: object) -> None:
        """A change is in force, and notify has heard of it."""
        members: dict[str, Any] = {
            "initiative_id": id_,
            "version": 5,
            "title": title,
            "root_causes": ("service.waiting",),
            "themes": ("waiting",),
            "department_id": "service",
            "owner": Employee(employee_id="olga", name="Ольга Лебедева", email="olga@example.org", language="ru"),
            "communicate_by": self.clock() + timedelta(days=20),
            "learned": "В обед ждали сорок минут.",
            "changed": "Открыли второе окно.",
            "next_steps": None,
        }
        async with self.databases["notify"].transaction() as tx:
            await handle_initiatives(tx, [self.event(InitiativeShipped(**(members | changes)), id_)])

    async def told_customers(self, *customers: str, consent: bool = True) -> None:
        """Notify knows these customers, who all complained about waiting."""
        profiles = [
            CustomerProfileChanged(
                customer_id=customer,
                version=1,
                name="Мария Кузнецова",
                email=f"{customer}@example.org",
                phone=None,
                email_consent=consent,
                language="ru",
                time_zone="Europe/Moscow",
                account_id=None,
                account_name=None,
                account_role=None,
                tier="standard",
                tier_reason="rule 1",
            )
            for customer in customers
        ]
        answers = [self.scored(customer, score=3, themes=("waiting",)) for customer in customers]
        async with self.databases["notify"].transaction() as tx:
            await notify_customers(tx, [self.event(each, each.customer_id) for each in profiles])
        async with self.databases["notify"].transaction() as tx:
            await notify_scores(tx, answers)

    def event(self, payload: Contract, subject: str, *, time: datetime | None = None) -> Event[Any]:
        """An event with a fresh id."""
        return Event.root(
            uuid5(NAMESPACE_URL, str(uuid4())), payload, subject=subject, time=time or self.clock(), source="/test"
        )

    def visitor(self, **headers: str) -> Visitor:
        """A browser without scripts, at the portal's door."""
        return Visitor(self.app, headers)


class Databases(Protocol):
    """The server of `tests/conftest.py`."""

    def create_for_service(self, service: str) -> str: ...
    def drop(self, url: str) -> None: ...


@asynccontextmanager
async def a_company_on(postgres: Databases) -> AsyncIterator[Company]:
    """The company on databases of its own, dropped at the end."""
    made: list[str] = []

    def make(service: str) -> str:
        made.append(postgres.create_for_service(service))
        return made[-1]

    async with a_company(make) as company:
        yield company
    for url in made:
        postgres.drop(url)


@asynccontextmanager
async def a_company(service_database: Callable[[str], str]) -> AsyncIterator[Company]:
    """The company, with its people."""
    clock = SetClock()
    async with AsyncExitStack() as stack:
        urls = {name: service_database(name) for name in ("portal", "casework", "scoring", "ingest", "notify")}
        databases = {name: Database.connect(url, pool_size=5, clock=clock) for name, url in urls.items()}
        for database in databases.values():
            stack.push_async_callback(database.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = AttachmentFiles(folder, size_limit=LARGEST_FILE, per_case=3)
        await ship(urls["notify"])
        keys = {}
        for name, scopes in PORTAL_SCOPES.items():
            async with databases[name].transaction() as tx:
                keys[name] = await create_key(tx, name="portal", scopes=scopes)
        async with databases["scoring"].transaction() as tx:
            tests_key = await create_key(tx, name="tests", scopes=("customers:read", "customers:write"))
        lines = {
            "casework": Line(casework_app(databases["casework"], files)),
            "scoring": Line(scoring_app(databases["scoring"], privacy_threshold=1)),
            "ingest": Line(ingest_app(databases["ingest"])),
        }
        reports = Reports(
            casework_url="http://casework",
            casework_key=keys["casework"],
            scoring_url="http://scoring",
            scoring_key=keys["scoring"],
            transports={name: lines[name].state.transport for name in ("casework", "scoring")},
        )
        stack.push_async_callback(reports.close)
        lines |= {
            "notify": Line(
                notify_app(
                    databases["notify"],
                    links=ConfirmationLinks("https://otklik.example.org", [LINKS]),
                    sender=Mailbox("Отклик", "care@example.org"),
                    time_zone="Europe/Moscow",
                    reports=reports,
                )
            ),
        }
        settings = Settings(
            database_url=urls["portal"],
            session_secret=SecretStr("a secret of the tests that is long enough"),
            secure_cookies=False,
            casework_key=SecretStr(keys["casework"]),
            scoring_key=SecretStr(keys["scoring"]),
            ingest_key=SecretStr(keys["ingest"]),
            notify_key=SecretStr(keys["notify"]),
            ingest_public_url="https://hooks.example.org",
        )
        services = {name: Service(name, url=f"http://{name}", key=keys[name], transport=lines[name]) for name in lines}
        casework, scoring = Casework(services["casework"]), Scoring(services["scoring"])
        ingest = Ingest(services["ingest"])
        notify = Notify(services["notify"])
        stack.push_async_callback(notify.close)
        stack.push_async_callback(ingest.close)
        stack.push_async_callback(casework.close)
        stack.push_async_callback(scoring.close)
        # Its clock stands still: a slow machine must not make readers think that their poller is gone.
        broadcast = Broadcast(databases["portal"], now=lambda: 0.0)
        broker = MemoryBroker(*TOPICS)
        app = create(
            settings,
            database=databases["portal"],
            casework=casework,
            scoring=scoring,
            ingest=ingest,
            notify=notify,
            letters=DeadLetters(broker.log, clock=clock),
            broadcast=broadcast,
            passwords=Passwords(QUICK),
        )
        company = Company(
            clock, databases, lines, settings, broadcast, app, EventsHandler(settings.zone), broker, tests_key
        )
        await company.renew()
        for id_, name, role, language in PEOPLE:
            if id_ in AGENTS:
                body = {
                    "name": name,
                    "email": f"{id_}@example.org",
                    "language": language,
                    "role": role,
                    "seniority": AGENTS[id_],
                }
                await company.casework("PUT", f"/v1/agents/{id_}", json=body)
        yield company
