import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.webapi.strict_json import MAX_DEPTH, NotStrictError, loads

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_ordinary_value_is_read_as_it_was_written(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'"\xc3"',
        b'{"score": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e400]",
        b"[-1e400]",
        b'{"score": 1, "score": 9}',
        b'{"a": {"b": 1, "b": 1}}',
        b'["\\u0000"]',
        b'{"\\u0000": 1}',
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
        b'{"\\udfff": 1}',
        b"9" * 5_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[9223372036854775808]",
        b"[-9223372036854775809]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 200 + b"]" * 200,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_readers_would_disagree_about_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrictError):
        loads(body)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_nesting_up_to_the_limit_is_read() -> None:
    assert loads(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_the_one_error(body: bytes) -> None:
    with suppress(NotStrictError):
        json.dumps(loads(body), allow_nan=False).encode()
