"""One service over HTTP: requests in a person's name, answers decoded, refusals as errors that a page can show.

ClientError
├── Refusal            the service said no, with a problem: the person can do something about it
└── ServiceAwayError   it cannot be reached, or has trouble of its own: later
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import httpx
import msgspec

if TYPE_CHECKING:
    from services.portal.domain.people import Person

TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
LIMITS: Final = httpx.Limits(max_connections=50, max_keepalive_connections=20)
_TYPE_PREFIX: Final = "urn:otklik:problem:"
_NOT_FOUND: Final = 404

_PATIENCE: Final = httpx.Timeout(60.0, connect=2.0)

_AT_ONCE: Final = "200"
_MOST_PAGES: Final = 10
"""A choice among more than two thousand is none; and a service that never ends its list must not hold us."""

BodyT = TypeVar("BodyT")
ItemT = TypeVar("ItemT")
Parameters = Mapping[str, str | list[str]]


class ClientError(Exception):
    """Base of all errors of the clients."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of what was sent."""

    pointer: str
    detail: str
    why: dict[str, Any] | None = None
    """The detail as a code with its parameters, where the service tells one."""

    @property
    def field(self) -> str:
        """The outermost field's name."""
        return self.pointer.removeprefix("/").partition("/")[0]


class _Problem(msgspec.Struct, frozen=True):
    type: str = ""
    title: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    why: dict[str, Any] | None = None
    offset: int | None = None
    columns: list[str] = []
    latest: datetime | None = None


class Listed(msgspec.Struct, Generic[ItemT], frozen=True):
    """A page of a list."""

    items: list[ItemT]
    next_cursor: str | None = None


class Refusal(ClientError):
    """The service refused, and says why. `slug` is the stable end of the problem's type.

    `why` is the reason as a code, where ingest tells one; `offset` where an import is instead, `columns` a file's;
    `latest` the last moment that would have been accepted.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        errors: tuple[FieldError, ...],
        why: dict[str, Any] | None = None,
        offset: int | None = None,
        columns: Sequence[str] = (),
        latest: datetime | None = None,
    ) -> None:
        super().__init__(f"{status} {slug}: {title}")
        self.columns = columns
        self.latest = latest
        self.why = why
        self.offset = offset
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.errors = errors


class ServiceAwayError(ClientError):
    """The service cannot be reached, or answered with an error of its own."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service}: {why}")
        self.service = service


@dataclass(frozen=True, slots=True)
class Download:
    """What a service answers, as it arrives: its headers, then its bytes."""

    headers: Mapping[str, str]
    pieces: AsyncGenerator[bytes]


class Service:
    """The HTTP client of one service, with the portal's key for it."""

    def __init__(self, name: str, *, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = name
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            limits=LIMITS,
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(
        self, path: str, shape: type[BodyT], *, person: Person, params: Mapping[str, str] | None = None
    ) -> BodyT:
        """What is at `path`, for this person."""
        answer = await self._send("GET", path, person=person, params=params)
        return self._decoded(answer, shape)

    async def get_version(self, path: str, shape: type[BodyT], *, person: Person) -> tuple[BodyT, int]:
        """What is at `path`, and its version."""
        answer = await self._send("GET", path, person=person)
        tag = answer.headers.get("ETag", "").strip('"')
        if not tag.isdecimal():
            raise ServiceAwayError(self.name, "told no version")
        return self._decoded(answer, shape), int(tag)

    async def find(
        self, path: str, shape: type[BodyT], *, person: Person, params: Mapping[str, str] | None = None
    ) -> BodyT | None:
        """What is at `path`, for this person; None where nothing is."""
        try:
            return await self.get(path, shape, person=person, params=params)
        except Refusal as refusal:
            if refusal.status == _NOT_FOUND:
                return None
            raise

    async def everything(
        self, path: str, shape: type[Listed[ItemT]], *, person: Person, params: Mapping[str, str] | None = None
    ) -> list[ItemT]:
        """All that is in a list, page by page."""
        found: list[ItemT] = []
        cursor: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = await self.get(path, shape, person=person, params={**(params or {}), "limit": _AT_ONCE, **cursor})
            found += page.items
            if page.next_cursor is None:
                break
            cursor = {"cursor": page.next_cursor}
        return found

    async def ask(
        self, path: str, body: Mapping[str, object] | None, shape: type[BodyT], *, person: Person, long: bool = False
    ) -> BodyT:
        """The answer to a question, or to a command that may be given twice; `long`: more patience."""
        patience = _PATIENCE if long else TIMEOUT
        return self._decoded(await self._send("POST", path, person=person, json=body, patience=patience), shape)

    async def tell(self, path: str, body: Mapping[str, object], *, person: Person) -> None:
        """A command that may be given twice, and has no answer."""
        await self._send("POST", path, person=person, json=body)

    async def order(
        self,
        path: str,
        body: Mapping[str, object],
        shape: type[BodyT],
        *,
        person: Person,
        command_id: str,
        long: bool = False,
    ) -> BodyT:
        """A command whose answer says what came of it; sent twice with one `command_id` it happens once.

        `long`: more patience, as much is done at once.
        """
        headers = _conditions(command_id, None)
        patience = _PATIENCE if long else TIMEOUT
        return self._decoded(
            await self._send("POST", path, person=person, json=body, headers=headers, patience=patience), shape
        )

    async def stream(
        self, path: str, *, person: Person, params: Mapping[str, str] | None = None
    ) -> AsyncGenerator[bytes]:
        """The bytes at `path`, as they arrive; whoever takes them sees a refusal before the first."""
        pieces = self._pieces(path, person, params, {})
        await anext(pieces)
        return pieces

    async def download(self, path: str, *, person: Person) -> Download:
        """What is at `path` as the service hands it out; a refusal is seen before the first byte."""
        headers: dict[str, str] = {}
        pieces = self._pieces(path, person, None, headers)
        await anext(pieces)
        return Download(headers, pieces)

    async def _pieces(
        self, path: str, person: Person, params: Mapping[str, str] | None, told: dict[str, str]
    ) -> AsyncGenerator[bytes]:
        """Nothing, once the service has begun to answer and its headers are in `told`; then what it answers."""
        headers = _in_the_name_of(person) | {"Accept-Encoding": "identity"}
        try:
            async with self._http.stream("GET", path, params=params, headers=headers, timeout=_PATIENCE) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise self._refused(answer)
                told.update(answer.headers)
                yield b""
                async for piece in answer.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise ServiceAwayError(self.name, type(error).__name__) from error

    async def try_out(
        self,
        path: str,
        body: Mapping[str, object],
        shape: type[BodyT],
        *,
        person: Person,
        command_id: str | None = None,
    ) -> BodyT:
        """What it would do to put this at `path`; nothing is changed. More patience: everything may be looked at.

        `command_id`: where that may take so long that it is begun, and is not to be begun twice.
        """
        params = {"dry_run": "true"}
        headers = None if command_id is None else _conditions(command_id, None)
        return self._decoded(
            await self._send("PUT", path, person=person, params=params, json=body, headers=headers, patience=_PATIENCE),
            shape,
        )

    async def send(
        self,
        method: str,
        path: str,
        content: bytes,
        shape: type[BodyT],
        *,
        person: Person,
        params: Parameters | None = None,
    ) -> BodyT:
        """Send bytes as they are; the answer. More patience: they are stored before it comes."""
        return self._decoded(
            await self._send(method, path, person=person, params=params, content=content, patience=_PATIENCE), shape
        )

    async def put(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        person: Person,
        command_id: str,
        version: int | None,
        only_new: bool = False,
    ) -> None:
        """Make what is at `path` (with `only_new` only where nothing is), or change what was seen at `version`."""
        headers = _conditions(command_id, version) | ({"If-None-Match": "*"} if only_new else {})
        await self._send("PUT", path, person=person, json=body, headers=headers)

    async def upload(
        self, path: str, pieces: AsyncIterable[bytes], *, person: Person, command_id: str, headers: Mapping[str, str]
    ) -> None:
        """Send bytes as they come; whoever makes them breaks it off by an error of their own."""
        sent = {**headers, **_conditions(command_id, None)}
        await self._send("POST", path, person=person, content=pieces, headers=sent, patience=_PATIENCE)

    async def delete(
        self,
        path: str,
        *,
        person: Person,
        command_id: str,
        version: int | None = None,
        params: Parameters | None = None,
    ) -> None:
        """Take away what is at `path`."""
        await self._send("DELETE", path, person=person, params=params, headers=_conditions(command_id, version))

    async def post(
        self, path: str, body: Mapping[str, object], *, person: Person, command_id: str, version: int | None
    ) -> None:
        """A command in the person's name; sent twice with one `command_id` it happens once."""
        await self._send("POST", path, person=person, json=body, headers=_conditions(command_id, version))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        person: Person,
        params: Parameters | None = None,
        json: Mapping[str, object] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: httpx.Timeout = TIMEOUT,
    ) -> httpx.Response:
        try:
            answer = await self._http.request(
                method,
                path,
                params=params,
                json=json,
                content=content,
                headers={**_in_the_name_of(person), **(headers or {})},
                timeout=patience,
            )
        except httpx.TransportError as error:
            raise ServiceAwayError(self.name, type(error).__name__) from error
        if answer.is_success:
            return answer
        raise self._refused(answer)

    def _refused(self, answer: httpx.Response) -> ClientError:
        if answer.status_code in (401, 429) or answer.status_code >= 500:  # noqa: PLR2004
            # 401 is about the portal's own key: nothing that the person could mend.
            return ServiceAwayError(self.name, f"answered {answer.status_code}")
        return self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> Refusal:
        problem = self._decoded(answer, _Problem)
        slug = problem.type.removeprefix(_TYPE_PREFIX)
        return Refusal(
            answer.status_code,
            slug,
            problem.title,
            problem.detail,
            problem.errors,
            problem.why,
            problem.offset,
            problem.columns,
            problem.latest,
        )

    def _decoded(self, answer: httpx.Response, shape: type[BodyT]) -> BodyT:
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.MsgspecError as error:
            raise ServiceAwayError(self.name, f"answered what is not understood: {error}") from error


def _in_the_name_of(person: Person) -> dict[str, str]:
    return {"Otklik-Person": person.id, "Otklik-Role": person.role.value}


def _conditions(command_id: str, version: int | None) -> dict[str, str]:
    """The headers of a command: sent twice with one `command_id` it happens once; only if `version` is still so."""
    unless_changed = {} if version is None else {"If-Match": f'"{version}"'}
    return {"Idempotency-Key": command_id, **unless_changed}
