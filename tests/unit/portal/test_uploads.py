"""A form with a file says the same however it is cut into pieces on its way."""

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from libs.webapi.problem import Problem
from services.portal.api.uploads import FIELDS_LIMIT, Upload, posted_file

TOKEN = "t" * 64


class Door:
    """Knows one visitor."""

    async def visitor(self, _request: Request) -> SimpleNamespace:
        return SimpleNamespace(form_token=TOKEN)


def body_of(fields: Mapping[str, str], content: bytes, *, name: str = "а.pdf") -> bytes:
    head = "".join(
        f'--e\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()
    )
    file = (
        f'--e\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: Text/CSV; x=y\r\n\r\n'
    )
    after = '\r\n--e\r\nContent-Disposition: form-data; name="after"\r\n\r\nignored\r\n--e--\r\n'
    return (head + file).encode() + content + after.encode()


def request_of(body: bytes, cuts: list[int]) -> Request:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    pieces = [body[begin:end] for begin, end in itertools.pairwise(edges)]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "server": ("portal", 80),
        "headers": [
            (b"host", b"portal"),
            (b"origin", b"http://portal"),
            (b"content-type", b"multipart/form-data; boundary=e"),
        ],
        "app": SimpleNamespace(state=SimpleNamespace(door=Door())),
    }
    return Request(scope, receive)


async def read(upload: Upload) -> bytes:
    return b"".join([piece async for piece in upload.pieces])


@given(
    content=st.binary(max_size=300) | st.sampled_from([b"\r\n--", b"\r\n--e", b"\r\n--ee--", b"--e--\r\n", b"\r\r\n"]),
    cuts=st.lists(st.integers(min_value=0, max_value=2_000), max_size=8),
)
@settings(max_examples=60)
async def test_the_file_arrives_as_it_is_wherever_the_pieces_end(content: bytes, cuts: list[int]) -> None:
    if b"\r\n--e" in content:
        content = content.replace(b"\r\n--e", b"\r\n--f")
    upload = await posted_file(request_of(body_of({"form_token": TOKEN, "command_id": " 1 "}, content), cuts))
    assert (upload.name, upload.media_type, upload.get("command_id")) == ("а.pdf", "text/csv", "1")
    assert await read(upload) == content


@given(missing=st.integers(min_value=5, max_value=200))
@settings(max_examples=20)
async def test_a_form_that_ends_too_early_is_never_a_short_file(missing: int) -> None:
    body = body_of({"form_token": TOKEN}, b"content" * 9)[:-missing]
    with pytest.raises(Problem) as refused:
        await read(await posted_file(request_of(body, [])))
    assert refused.value.status_code == 400


async def test_a_form_without_a_file_has_none() -> None:
    upload = await posted_file(request_of(body_of({"form_token": TOKEN}, b"", name=""), []))
    assert (upload.name, await read(upload)) == ("", b"")
    body = f'--e\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{TOKEN}\r\n--e--\r\n'.encode()
    upload = await posted_file(request_of(body, []))
    assert (upload.name, await read(upload)) == ("", b"")


async def test_a_form_is_refused_that_says_much_before_its_file() -> None:
    with pytest.raises(Problem) as refused:
        await posted_file(request_of(body_of({"form_token": TOKEN, "note": "x" * FIELDS_LIMIT}, b""), []))
    assert refused.value.status_code == 413
