"""What the stack runs: each part as a child with the question whether it is ready."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from deploy.local.children import Child, ChildSpec
from deploy.local.kafka import KafkaBroker, answers
from deploy.local.ports import is_open
from deploy.local.postgres import PostgresServer
from deploy.local.settings import ROOT, Ports, inherited_environment
from deploy.local.supervisor import Part

SERVERS: Final = ("postgres", "kafka", "mailbox")
_READY_TIMEOUT_S: Final = 5.0
_WITH_OWN_FOLDER: Final = ("postgres", "kafka")


def log(data_dir: Path, name: str) -> Path:
    """Where a part's output goes."""
    return data_dir / "logs" / f"{name}.log"


def lock(data_dir: Path, name: str) -> Path:
    """Choose the file that is locked as long as anything of a part runs."""
    return data_dir / name / "lock" if name in _WITH_OWN_FOLDER else data_dir / "run" / f"{name}.lock"


def postgres(server: PostgresServer) -> Part:
    """Make the database server a part."""

    async def ready(child: Child) -> bool:
        return server.ready(child)

    return Part(name="postgres", spec=server.spec, ready=ready)


def kafka(broker: KafkaBroker) -> Part:
    """Make the broker a part."""

    async def ready(_child: Child) -> bool:
        return await asyncio.to_thread(broker.ready)

    return Part(name="kafka", spec=broker.spec, ready=ready, start_timeout_s=300.0)


def memory_broker(data_dir: Path, *, after_restart: Callable[[], None]) -> Part:
    """Make the in-memory broker a part. It has another address after each start, so the others must be told."""
    address = memory_broker_address(data_dir)

    def spec() -> ChildSpec:
        address.unlink(missing_ok=True)
        return _python(data_dir, "kafka", "deploy.local.memory_broker", str(address))

    async def ready(_child: Child) -> bool:
        return address.exists() and await asyncio.to_thread(answers, address.read_text(encoding="ascii"))

    return Part(name="kafka", spec=spec, ready=ready, after_restart=after_restart)


def memory_broker_address(data_dir: Path) -> Path:
    """Choose the file in which the in-memory broker writes down where it listens."""
    return data_dir / "run" / "memory-broker.address"


def mailbox(data_dir: Path, ports: Ports) -> Part:
    """Make the mailbox a part."""

    def spec() -> ChildSpec:
        return _python(
            data_dir,
            "mailbox",
            "deploy.local.mail",
            f"--folder={data_dir / 'mail'}",
            f"--smtp-port={ports.smtp}",
            f"--http-port={ports.mailbox}",
        )

    async def ready(_child: Child) -> bool:
        return is_open(ports.smtp) and is_open(ports.mailbox)

    return Part(name="mailbox", spec=spec, ready=ready)


def service(name: str, data_dir: Path, ports: Ports, environment: Callable[[], Mapping[str, str]]) -> Part:
    """Make a service a part, ready when it says so. Its environment is asked for anew at each start."""

    def spec() -> ChildSpec:
        return _python(data_dir, name, f"services.{name}", "all", environment=environment())

    async def ready(_child: Child) -> bool:
        return await says_ready(ports.of(name))

    return Part(name=name, spec=spec, ready=ready)


async def says_ready(port: int) -> bool:
    """Ask a service on this machine whether it is ready."""
    # Loopback only: a proxy of the environment has no part in it.
    async with httpx.AsyncClient(trust_env=False, timeout=_READY_TIMEOUT_S) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/readyz")
        except httpx.TransportError:
            return False
    return answer.status_code == httpx.codes.OK


def _python(
    data_dir: Path, name: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", module, *arguments),
        environment={**(environment or inherited_environment()), "PYTHONUNBUFFERED": "1"},
        folder=ROOT,
        log=log(data_dir, name),
        lock=lock(data_dir, name),
        # Ours survive a kill at any moment, and then the servers they need are ending too: no time for farewells.
        death_signal=signal.SIGKILL,
    )
