"""Bodies as nobody should send them, each made of a good one: what readers of JSON, of forms and of bytes trip over."""

import gzip
import json
import zlib
from collections.abc import Callable
from random import Random

Mutation = Callable[[Random, bytes], bytes]

HUGE = b"9" * 5_000
IN_PLACE_OF_A_VALUE = (
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"0.1e1",
    b"-0",
    b"1.0",
    b"01",
    b"+1",
    b".5",
    HUGE,
    b"1." + HUGE,
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"\\u0000"',
    b'"\0"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff\xfe"',
    b'"\\uD83D\\uDE00"',
    b'"' + b"x" * 200_000 + b'"',
    b'"' + "е".encode() * 60_000 + b'"',
    b'"\\u202e\\ufeff\\u2028"',
    b'"9999-12-31T23:59:59.999999+00:00"',
    b'"0001-01-01T00:00:00+14:00"',
    b'"2026-02-30T25:61:61Z"',
    b"253402300800",
    b"-62135596801",
    b"1e308",
    b"[" * 100_000,
    b'{"a":' * 60_000,
    b"[" * 20_000 + b"]" * 20_000,
)
BETWEEN_BYTES = (
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\\",
    b'"',
    b"\r\n",
    b"\x1a",
    b"%00",
)
AFTER_THE_END = (b"}", b"{}", b"\0", b" null", b"\n\n//", b"\xff", b"," * 1_000, b" " * 100_000)


def inserted(random: Random, body: bytes) -> bytes:
    """A few bytes in the middle."""
    place = random.randrange(len(body) + 1)
    return body[:place] + random.choice(BETWEEN_BYTES) + body[place:]


def flipped(random: Random, body: bytes) -> bytes:
    """Some bits are others."""
    changed = bytearray(body)
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncated(random: Random, body: bytes) -> bytes:
    """The end is missing."""
    return body[: random.randrange(len(body))]


def without_the_middle(random: Random, body: bytes) -> bytes:
    """Something is missing."""
    first, second = sorted(random.sample(range(len(body) + 1), 2))
    return body[:first] + body[second:]


def repeated(random: Random, body: bytes) -> bytes:
    """Something is there twice."""
    first, second = sorted(random.sample(range(len(body) + 1), 2))
    return body[:second] + body[first:]


def more_after_the_end(random: Random, body: bytes) -> bytes:
    """It does not end where it should."""
    return body + random.choice(AFTER_THE_END)


def otherwise_encoded(random: Random, body: bytes) -> bytes:
    """In another encoding, or with a byte order mark."""
    text = body.decode()
    return random.choice(
        (
            b"\xef\xbb\xbf" + body,
            text.encode("utf-16"),
            text.encode("utf-16-be"),
            text.encode("utf-32"),
            text.encode("utf-7"),
            text.encode("cp1251", "replace"),
        )
    )


def packed(random: Random, body: bytes) -> bytes:
    """Compressed, or a bomb: nobody asked for either."""
    bomb = b"[" * 200_000_000 if random.random() < 0.02 else b" " * 1_000_000
    return random.choice((gzip.compress(body), zlib.compress(body), gzip.compress(body + bomb, 1)))


def another_value(random: Random, body: bytes) -> bytes:
    """One value in the JSON is another one."""
    marker = "\ue000otklik\ue000"
    text = json.dumps(_with(random, json.loads(body), marker), ensure_ascii=False)
    return text.encode().replace(json.dumps(marker, ensure_ascii=False).encode(), random.choice(IN_PLACE_OF_A_VALUE))


def a_key_twice(random: Random, body: bytes) -> bytes:
    """An object has one key twice, with the same or another value, plainly or by an escape."""
    places = [place for place in range(len(body)) if body[place : place + 1] == b"{"]
    place = random.choice(places) + 1
    rest = body[place:].lstrip()
    key = rest[: rest.find(b'"', 1) + 1] if rest.startswith(b'"') else b'"a"'
    hidden = b'"\\u%04x' % key[1] + key[2:] if key[1:2].isalpha() else key
    return body[:place] + random.choice((key, hidden)) + b":" + random.choice((b"1", b'"x"', b"null")) + b"," + rest


def many_keys(random: Random, body: bytes) -> bytes:
    """More keys than anybody has questions: up to three hundred thousand."""
    amount = random.choice((1_001, 30_000, 300_000))
    added = ",".join(f'"k{number}":0' for number in range(amount)).encode()
    return b"{" + added + b"," + body.lstrip()[1:]


JSON_MUTATIONS: tuple[Mutation, ...] = (
    another_value,
    another_value,
    another_value,
    another_value,
    a_key_twice,
    many_keys,
    inserted,
    inserted,
    flipped,
    truncated,
    without_the_middle,
    repeated,
    more_after_the_end,
    otherwise_encoded,
    packed,
)


def another_field(random: Random, body: bytes) -> bytes:
    """One value of a form is another one."""
    pairs = body.split(b"&")
    place = random.randrange(len(pairs))
    name = pairs[place].partition(b"=")[0]
    values = (
        b"",
        b"%",
        b"%zz",
        b"%ff",
        b"%00",
        b"%ed%a0%80",
        b"+",
        HUGE,
        b"x" * 200_000,
        b"1e400",
        b"NaN",
        b"\xff",
        b";",
    )
    pairs[place] = name + b"=" + random.choice(values)
    return b"&".join(pairs)


def another_name(random: Random, body: bytes) -> bytes:
    """One name of a form is another one: broken, deep, repeated, both a value and a group."""
    pairs = body.split(b"&")
    place = random.randrange(len(pairs))
    name, _, value = pairs[place].partition(b"=")
    names = (
        name + b"[x]",
        name + b"[",
        b"]" + name,
        name + b"[]",
        b"[a]",
        b"",
        b"%00",
        b"a" + b"[a]" * 100_000,
        b"a" * 9_000,
    )
    pairs.append(random.choice((*names, name)) + b"=" + value)
    return b"&".join(pairs)


def many_fields(random: Random, body: bytes) -> bytes:
    """More fields than anybody has questions."""
    return body + b"".join(b"&k%d=" % number for number in range(random.choice((1_001, 30_000, 100_000))))


FORM_MUTATIONS: tuple[Mutation, ...] = (
    another_field,
    another_field,
    another_name,
    another_name,
    many_fields,
    inserted,
    flipped,
    truncated,
    without_the_middle,
    repeated,
    more_after_the_end,
    packed,
)


def another_part(random: Random, body: bytes) -> bytes:
    """A part of a multipart form has no name, another encoding, a header without an end, or is a form itself."""
    what = (
        (b'name="rawRequest"', b""),
        (b'name="rawRequest"', b'name="rawRequest"; filename="a.json"'),
        (b'name="rawRequest"', b'name="\xff\0"'),
        (b'name="rawRequest"', b"name*=UTF-8''%ff"),
        (b'name="rawRequest"', b'name="' + b"n" * 100_000 + b'"'),
        (b'name="rawRequest"', b'name="formID"'),
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n", b"\n"),
        (b"--\r\n", b"\r\n"),
        (b"Content-Disposition", b"Content-Transfer-Encoding: base64\r\nContent-Disposition"),
        (b"{", b"[" * 50_000),
        (b":", b"\0"),
    )
    before, after = random.choice(what)
    return body.replace(before, after, random.choice((1, -1)))


MULTIPART_MUTATIONS: tuple[Mutation, ...] = (
    another_part,
    another_part,
    another_part,
    inserted,
    flipped,
    truncated,
    truncated,
    without_the_middle,
    repeated,
    more_after_the_end,
    packed,
)


def _with(random: Random, value: object, marker: str) -> object:
    """The JSON value with the marker in a random place."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        return {**value, key: _with(random, value[key], marker)}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        return [*value[:place], _with(random, value[place], marker), *value[place + 1 :]]
    return marker
