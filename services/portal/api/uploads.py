"""Forms with a file, read as they come: what stands before the file first, then the file, piece by piece.

Nothing is kept: whoever takes the pieces sets the pace, and a body that ends too early is an error, never a short file.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from libs.webapi.problem import of_status
from services.portal.api.access import require_form_token, require_own_origin

FIELDS_LIMIT: Final = 65_536
"""Bytes of all that is in a form besides its file."""
_HEADERS_OF_A_PART: Final = 8
_HEADER_LIMIT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that one of our own pages sent with a file."""

    fields: Mapping[str, str]
    """What stands before the file."""
    name: str
    """What the browser calls the file; empty where none was chosen."""
    media_type: str
    """What the browser takes it for."""
    pieces: AsyncIterator[bytes]
    """To be read once, and to the end."""

    def get(self, name: str) -> str:
        """The field, without space around it; empty where it is missing."""
        return self.fields.get(name, "").strip()


async def posted_file(request: Request) -> Upload:
    """The form, once its origin and its token have proved it; 403 otherwise, before a byte of the file is read."""
    require_own_origin(request)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise of_status(415)
    found = _found(request, boundary)
    fields: dict[str, bytearray] = {}
    size = 0
    part: _Part | None = None
    async for each in found:
        if isinstance(each, _Part):
            part = each
            if part.file_name is not None:
                break
            fields[part.name] = bytearray()
        elif part is not None:
            size += len(each)
            if size > FIELDS_LIMIT:
                raise of_status(413)
            fields[part.name] += each
    told = {name: _text(value) for name, value in fields.items()}
    await require_form_token(request, told.get("form_token", ""))
    name = (part.file_name if part else None) or ""
    return Upload(told, name, part.media_type if part else "", _file(found))


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a part of the form begins."""

    name: str
    file_name: str | None
    media_type: str


class _Reader:
    """What the parser finds, in its order; the parser itself knows nothing but callbacks."""

    def __init__(self, boundary: bytes) -> None:
        self.found: Final[deque[_Part | bytes]] = deque()
        self.complete = False
        self._headers: dict[str, bytes] = {}
        self._name = b""
        self._value = b""
        self._parser: Final = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_end": self._on_end,
            },
            max_header_count=_HEADERS_OF_A_PART,
            max_header_size=_HEADER_LIMIT,
        )

    def feed(self, piece: bytes) -> None:
        self._parser.write(piece)

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        file_name = options.get(b"filename")
        self.found.append(
            _Part(
                options.get(b"name", b"").decode(errors="replace"),
                None if file_name is None else file_name.decode(errors="replace"),
                self._headers.get("content-type", b"").decode("latin-1").partition(";")[0].strip().lower(),
            )
        )

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self.found.append(data[start:end])

    def _on_end(self) -> None:
        self.complete = True


async def _found(request: Request, boundary: bytes) -> AsyncGenerator[_Part | bytes]:
    try:
        reader = _Reader(boundary)
        async for piece in request.stream():
            reader.feed(piece)
            while reader.found:
                yield reader.found.popleft()
    except FormParserError as error:
        raise of_status(400) from error
    if not reader.complete:
        raise of_status(400)


async def _file(found: AsyncIterator[_Part | bytes]) -> AsyncGenerator[bytes]:
    """The bytes until the next part; what follows is read, as the form may still turn out to be broken off."""
    inside = True
    async for each in found:
        if isinstance(each, _Part):
            inside = False
        elif inside:
            yield each


def _text(value: bytearray) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise of_status(400) from error
    if "\0" in text:
        raise of_status(400)
    return text
