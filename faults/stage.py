"""One build of Otklik on the servers: its database, its services behind their links, its mail server, its keys.

The tree from which the services run may be another than ours: a copy that was sabotaged.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import sys
from random import Random
from typing import TYPE_CHECKING, Final

import httpx

from deploy.local import parts
from deploy.local.children import ChildSpec
from deploy.local.ports import free_ports
from deploy.local.preparation import PORTAL_SCOPES
from deploy.local.schemas import bootstrap, ensure_database
from deploy.local.settings import ROOT, SERVICES
from deploy.local.supervisor import Part
from deploy.local.vendor_apis import VendorApis
from faults.hooksink import TIMEOUT_S as HOOKS_TIMEOUT_S
from faults.hooksink import HookSink
from faults.mailsink import MailSink
from faults.processes import Process, ProcessFailed
from faults.proxy import LOOPBACK, Link
from faults.returns import Keys as ReportKeys
from faults.thin import TOKEN
from libs.events.database import Database
from libs.events.kafka import create_topics
from libs.webapi.keys import create_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from deploy.local.children import Child
    from faults.servers import Servers

CRASHPOINTS: Final = "OTKLIK_CRASHPOINTS"
SMTP_TIMEOUT_S: Final = 4
DOUBT_SETTLES_S: Final = 6
_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "ingest": ("sources:read", "sources:write", "responses:write", "deliveries:read"),
    "scoring": ("customers:read", "customers:write", "rules:read", "rules:write", "metrics:read"),
    "casework": ("cases:read", "cases:write", "settings:read", "settings:write", "on-behalf"),
    "notify": (
        "messages:read",
        "campaigns:read",
        "campaigns:write",
        "contacts:write",
        "subscriptions:read",
        "subscriptions:write",
        "bounces:write",
        "on-behalf",
    ),
    "portal": (),
}
_OF_NOTIFY: Final[Mapping[str, tuple[str, ...]]] = {
    "casework": ("cases:read", "cases:write", "settings:read"),
    "scoring": ("customers:read", "metrics:read"),
}
"""For the page on which customers choose when they are called, and for digests."""
_NO_KEY: Final = "otk_" + "0" * 43
_MIGRATION_S: Final = 600.0
_READY_S: Final = 3.0


class Stage:
    """A running build, and everything that a fault or the ledger needs to reach of it."""

    def __init__(
        self,
        folder: Path,
        servers: Servers,
        *,
        services: Sequence[str] = SERVICES,
        tree: Path = ROOT,
        name: str = "otklik",
        sink: type[MailSink] = MailSink,
    ) -> None:
        """`name` of the database; `tree` holds `libs` and `services`; `sink`: what kind of mail server there is."""
        self.folder: Final = folder.absolute()
        self.servers: Final = servers
        self.names: Final = tuple(services)
        self.tree = tree
        """What is started from now on runs from there."""
        self.surroundings: Final[dict[str, Mapping[str, str]]] = {}
        """By service: variables of its environment beside the usual ones."""
        self._database = name
        ports = free_ports(2 * len(SERVICES) + 9)
        self._ports: Final = dict(zip(SERVICES, ports, strict=False))
        self._twin_ports: Final = dict(zip(SERVICES, ports[len(SERVICES) :], strict=False))
        smtp, receipts, smtp_link, apis, apis_link, hooks, hooks_link, self.returns_port, twin_returns = ports[-9:]
        self._returns_ports: Final = {False: self.returns_port, True: twin_returns}
        self.sink: Final = sink(smtp_port=smtp, http_port=receipts)
        self.mail_link: Final = Link("notify to the mail server", port=smtp_link, upstream=smtp)
        self.hooks: Final = HookSink(
            port=hooks,
            door=hooks_link,
            random=Random(f"hooks {name}"),  # noqa: S311 - it is to be repeatable
        )
        self.hooks_link: Final = Link("notify to the receivers of web hooks", port=hooks_link, upstream=hooks)
        self.vendor_apis: Final = VendorApis(port=apis, token=TOKEN)
        self.vendor_link: Final = Link("ingest to the vendor's API", port=apis_link, upstream=apis)
        self.passwords: Final = {service: secrets.token_urlsafe(16) for service in SERVICES}
        self.source_secret: Final = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self.report_keys: Final = ReportKeys(secrets.token_hex(16))
        """With which providers sign what they report."""
        self.keys: Final[dict[str, str]] = {}
        self._portal_keys: Final[dict[str, str]] = {}
        self._notify_keys: Final[dict[str, str]] = {}
        self._secrets: Final = {name: secrets.token_urlsafe(48) for name in ("link", "session")}
        # Two at a time: that is what the machine has.
        self._migrating: Final = asyncio.Semaphore(2)
        self.services: Final = {service: Process(self._part(service)) for service in self.names}

    # Where things are.

    def url(self, service: str) -> str:
        """The address of a service."""
        return f"http://{LOOPBACK}:{self._ports[service]}"

    def twin_url(self, service: str) -> str:
        """The address of a service's second process."""
        return f"http://{LOOPBACK}:{self._twin_ports[service]}"

    @property
    def admin_dsn(self) -> str:
        """The administrator in this build's database, beside every link."""
        return self.servers.admin_dsn(self._database)

    def dsn(self, service: str) -> str:
        """A service's own way to its schema, beside its link."""
        return self.servers.service_dsn(service, self._database, self.passwords[service], linked=False)

    def crash_folder(self, service: str) -> Path:
        """Where a file of a crash point's name makes this service kill itself there."""
        return self.folder / "crashpoints" / service

    # Its life.

    async def prepare(self) -> None:
        """Make the database and the topics, migrate, and start the mail server and the vendor's."""
        for service in self.names:
            self.crash_folder(service).mkdir(parents=True, exist_ok=True)
        inside = await ensure_database(self.servers.admin_dsn(), self._database)
        await bootstrap(inside, self.passwords)
        await create_topics(self.servers.bootstrap_servers)
        await asyncio.gather(*(self.migrate(service) for service in self.names))
        for service in self.names:
            await self._make_keys(service)
        await self.sink.start()
        await self.hooks.start()
        await self.hooks_link.start()
        await self.mail_link.start()
        await self.vendor_apis.start()
        await self.vendor_link.start()

    async def start(self) -> None:
        """Start the services."""
        async with asyncio.TaskGroup() as group:
            for process in self.services.values():
                group.create_task(process.start())

    async def stop(self) -> None:
        """Stop the services in order, then the mail server and the vendor's."""
        await asyncio.gather(*(process.close() for process in self.services.values()))
        await self.vendor_link.stop()
        await self.vendor_apis.stop()
        await self.mail_link.stop()
        await self.sink.stop()
        await self.hooks_link.stop()
        await self.hooks.stop()

    @contextlib.asynccontextmanager
    async def twin(self, service: str, role: str) -> AsyncIterator[Process]:
        """A second process of a service beside the first, through the same links; stopped in order afterwards."""
        process = Process(self._part(service, role=role, twin=True))
        try:
            await process.start()
            yield process
        finally:
            await process.close()

    async def ready(self) -> None:
        """Return when all services are up and ready."""
        await asyncio.gather(*(process.until_ready() for process in self.services.values()))

    async def unready(self) -> list[str]:
        """What the services say that is not ready."""
        found = []
        for service in self.names:
            async with httpx.AsyncClient(trust_env=False, timeout=_READY_S) as client:
                try:
                    answer = await client.get(f"{self.url(service)}/readyz")
                except httpx.TransportError as error:
                    found.append(f"{service} {type(error).__name__}")
                    continue
            if answer.status_code != httpx.codes.OK:
                found.append(f"{service} {answer.text}")
        return found

    def heal_links(self) -> None:
        """Let bytes pass everywhere, and mail and questions to the vendor be answered as usual."""
        for links in (self.servers.database_links, self.servers.kafka_links):
            for link in links.values():
                link.heal()
        self.mail_link.heal()
        self.hooks_link.heal()
        self.sink.forget_tricks()
        self.vendor_link.heal()
        self.vendor_apis.faults.clear()

    async def migrate(self, service: str) -> None:
        """Bring the service's schema to where the tree has it."""
        # In a process of its own, because the tree is not the one that this process has imported.
        async with self._migrating:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{service}",
                "migrate",
                cwd=self.tree,
                env={**self._environment(service), f"{service.upper()}_DATABASE_URL": self.dsn(service)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(_MIGRATION_S):
                said, _ = await process.communicate()
        if process.returncode != 0:
            raise ProcessFailed(f"the schema of {service} cannot be migrated:\n{said.decode(errors='replace')[-3000:]}")

    async def _make_keys(self, service: str) -> None:
        database = Database.connect(self.dsn(service), pool_size=1)
        try:
            async with database.transaction() as tx:
                if _SCOPES[service]:
                    self.keys[service] = await create_key(tx, name="faults", scopes=_SCOPES[service])
                if service in _OF_NOTIFY:
                    self._notify_keys[service] = await create_key(tx, name="notify", scopes=_OF_NOTIFY[service])
                if service in PORTAL_SCOPES:
                    self._portal_keys[service] = await create_key(tx, name="portal", scopes=PORTAL_SCOPES[service])
        finally:
            await database.close()

    def _part(self, service: str, *, role: str = "all", twin: bool = False) -> Part:
        name = f"{service}-twin" if twin else service
        port = (self._twin_ports if twin else self._ports)[service]

        def spec() -> ChildSpec:
            return ChildSpec(
                name=name,
                argv=(sys.executable, "-m", f"services.{service}", role),
                environment={
                    **self._environment(service),
                    f"{service.upper()}_PORT": str(port),
                    "NOTIFY_RETURNS_LISTEN": f"lmtp://{LOOPBACK}:{self._returns_ports[twin]}",
                },
                folder=self.tree,
                log=parts.log(self.folder, name),
                lock=parts.lock(self.folder, name),
                # Ours survive a kill at any moment; when this process dies, nothing of it may stay behind.
                death_signal=signal.SIGKILL,
            )

        async def ready(_child: Child) -> bool:
            return await _says_ready(port)

        return Part(name=name, spec=spec, ready=ready, start_timeout_s=300.0)

    def _environment(self, service: str) -> dict[str, str]:
        database = self.servers.service_dsn(service, self._database, self.passwords[service], linked=True)
        return {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            CRASHPOINTS: str(self.crash_folder(service)),
            "OTKLIK_KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.servers.kafka_links[service].port}",
            "OTKLIK_SMTP_URL": f"smtp://{LOOPBACK}:{self.mail_link.port}",
            f"{service.upper()}_DATABASE_URL": database,
            f"{service.upper()}_PORT": str(self._ports[service]),
            "INGEST_PLAIN_HTTP": "true",
            "NOTIFY_LINK_SECRET": self._secrets["link"],
            "NOTIFY_PUBLIC_URL": self.url("notify"),
            "NOTIFY_RECEIPTS_URL": f"http://{LOOPBACK}:{self.sink.http_port}/mails",
            "NOTIFY_SMTP_TIMEOUT_SECONDS": str(SMTP_TIMEOUT_S),
            "NOTIFY_DOUBT_SETTLES_SECONDS": str(DOUBT_SETTLES_S),
            "NOTIFY_MAILGUN_SIGNING_KEY": self.report_keys.mailgun,
            "NOTIFY_SENDGRID_VERIFICATION_KEY": self.report_keys.sendgrid,
            **{f"NOTIFY_{name.upper()}_URL": self.url(name) for name in _OF_NOTIFY},
            **{f"NOTIFY_{name.upper()}_KEY": key for name, key in self._notify_keys.items()},
            "NOTIFY_HOOKS_PLAIN_HTTP": "true",
            "NOTIFY_HOOKS_ALLOWED_NETWORKS": f"{LOOPBACK}/32",
            "NOTIFY_HOOKS_TIMEOUT_SECONDS": str(HOOKS_TIMEOUT_S),
            "PORTAL_SESSION_SECRET": self._secrets["session"],
            "PORTAL_SECURE_COOKIES": "false",
            # Whichever of them the portal speaks to.
            **{f"PORTAL_{name.upper()}_URL": self.url(name) for name in SERVICES},
            **{f"PORTAL_{name.upper()}_KEY": self._portal_keys.get(name, _NO_KEY) for name in SERVICES},
            **self.surroundings.get(service, {}),
        }


async def _says_ready(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=_READY_S) as client:
        try:
            answer = await client.get(f"http://{LOOPBACK}:{port}/readyz")
        except httpx.TransportError:
            return False
    return answer.status_code == httpx.codes.OK
