"""A mail goes over TLS and after a log-in as it does over a bare line, on the event loop of services as on any."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notify.clients import Envelope as Mail
from services.notify.clients import MailServer, MailServerAway
from services.notify.domain.outcomes import Accepted

CONTENT = b"Subject: hello\r\n\r\n" + b"x" * 70 + b"\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and the certificate of a server on this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Door:
    """A mail server that takes mail over TLS and from those who log in."""

    def __init__(self) -> None:
        self.taken: list[tuple[bool, bytes]] = []

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.taken.append((bool(session.authenticated), envelope.content))
        return "250 2.0.0 taken"

    def let_in(self, _server: object, _session: object, _envelope: object, _mechanism: str, who: Any) -> AuthResult:  # noqa: ANN401
        known = isinstance(who, LoginPassword) and (who.login, who.password) == (b"otklik", b"pass word")
        return AuthResult(success=known, handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it does not see that TLS comes first
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls", "smtps"])
async def test_mails_go_over_a_secure_line(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    door = Door()

    def line() -> SMTP:
        secure: dict[str, Any] = {"auth_require_tls": False} if scheme == "smtps" else {"tls_context": tls}
        return SMTP(door, hostname="door.example", authenticator=door.let_in, auth_required=True, **secure)

    server = await asyncio.get_running_loop().create_server(
        line, "127.0.0.1", 0, ssl=tls if scheme == "smtps" else None
    )
    port = server.sockets[0].getsockname()[1]

    async def send(password: str) -> list[object]:
        client = MailServer(
            f"{scheme}://otklik:{password}@127.0.0.1:{port}", connections=2, timeout=timedelta(seconds=10)
        )

        async def yes() -> bool:
            return True

        try:
            mails = [Mail("care@romashka.example", f"c-{number}@mail.example", CONTENT) for number in range(5)]
            return [await client.send(mail, yes) for mail in mails]
        finally:
            await client.close()

    def on_a_loop(password: str) -> list[object]:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(send(password))

    try:
        outcomes = await asyncio.to_thread(on_a_loop, "pass%20word")
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert door.taken == [(True, CONTENT)] * 5
        with pytest.raises(MailServerAway):
            await asyncio.to_thread(on_a_loop, "wrong")
        assert len(door.taken) == 5
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await server.wait_closed()
