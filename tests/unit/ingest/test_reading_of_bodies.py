import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.webapi.strict_json import NotStrictError, loads
from services.ingest.domain.values import Unclear
from services.ingest.vendors.reading import read_json

NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from(':{}[]",\\uдa0')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from(":ab\\"), max_size=3), inner),
    max_leaves=20,
)
PIECES = [b"", b'"a":1,', b"\\u0000", b"\\ud800", b"9" * 20, b"[[", b"]]", b":", b"\xff"]


def strictly(body: bytes) -> object:
    try:
        return loads(body)
    except NotStrictError:
        return Unclear


def fast(body: bytes) -> object:
    try:
        return read_json(body)
    except Unclear:
        return Unclear


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # tells 1 from 1.0 and True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"score": NaN}',
        b'{"score": Infinity}',
        b'{"score": 1e400}',
        b'{"score": -1e400}',
        b'{"comment": "\\u0000"}',
        b'{"comment": "\0"}',
        b'{"a\\u0000b": 1}',
        b'{"comment": "\\ud800"}',
        b'{"comment": "\\uDC00"}',
        b'{"comment": "\xff"}',
        b'{"comment": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{}x",
        b'{"score": 1, "score": 9}',
        b'{"a": {"score": 1, "score": 9}}',
        b'{"a:": 1, "a:": 9}',
        b'{"a": 1, "a": 9, "b": "\\u003a"}',
        b'{"a": 1, "a": 9, "b": "\\u003A"}',
        b"9" * 5000,
        b'{"score": ' + b"9" * 5000 + b"}",
        b'{"score": 9223372036854775808}',
        b'{"score": -9223372036854775809}',
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[01]",
        b"[1,]",
        b"'a'",
        "{}".encode("utf-16"),
    ],
)
def test_what_means_different_things_to_different_readers_is_unclear(body: bytes) -> None:
    assert fast(body) is Unclear


@pytest.mark.parametrize(
    "body",
    [
        b" {} \r\n",
        b'{"comment": "\\ud83d\\ude00 \\u0416"}',
        b'{"a": {"a": {"a": 1}}, "b": ["a:b", ":"]}',
        b'{"comment": "a \\\\u0000 that is none"}',
        b'{"score": 9223372036854775807, "other": -9223372036854775808}',
        b"[" * 32 + b"]" * 32,
        b"[1.0, 1e5, -0, -0.0, 1e-400]",
        b'"\\u003a"',
    ],
)
def test_what_is_strict_json_is_read_as_the_strict_reader_reads_it(body: bytes) -> None:
    assert same(fast(body), strictly(body))
    assert fast(body) is not Unclear


@given(NESTED)
def test_both_readers_agree_on_json(value: object) -> None:
    for escaped in (True, False):
        body = json.dumps(value, ensure_ascii=escaped).encode()
        assert same(fast(body), strictly(body))


@given(NESTED, st.data())
def test_both_readers_agree_on_broken_json(value: object, data: st.DataObject) -> None:
    body = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(body) - 1, 0)))
        piece = data.draw(st.sampled_from(PIECES))
        body[place : place + data.draw(st.integers(0, 3))] = piece
    assert same(fast(bytes(body)), strictly(bytes(body)))


@given(st.binary(max_size=40))
@example(b'\x00{"a":1}')
def test_both_readers_agree_on_bytes(body: bytes) -> None:
    assert same(fast(body), strictly(body))
