"""A real mail server for the tests of notify, that does as it is told."""

import asyncio
import email
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from inspect import isawaitable
from typing import Any, AnyStr, Literal

from aiosmtpd.smtp import SMTP, Envelope, Session

Action = Any
"""What the mail server is told to do; see MailTrap."""


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


def said(mail: EmailMessage, kind: Literal["plain", "html"] = "plain") -> str:
    """What a mail says, as text or as HTML."""
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    content: str = body.get_content()
    return content


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
