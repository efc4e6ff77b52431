"""Bytes to a JSON value, strictly and fast: what is not JSON, or not the same JSON to every reader, is unclear.

The verdict is that of `libs.webapi.strict_json`, the one strict reader of all our HTTP bodies. It costs four times a
plain decoder, so a plain decoder goes first, and its value counts only where cheap tests over the bytes prove that the
strict reader would have taken the body with the same value; else the strict reader decides, and says why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from libs.webapi.strict_json import MAX_DEPTH, NotStrictError, loads
from services.ingest.domain.reasons import because
from services.ingest.domain.values import Unclear

if TYPE_CHECKING:
    from collections.abc import Iterable

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode

_SUSPECT_ESCAPE: Final = re.compile(rb"\\u(?:0000|003|[dD])").search
"""NUL, surrogates, and whatever could hide a colon from the count of colons."""
_ONLY_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))  # noqa: PLR2004 - 0 to 9
_LONG_NUMBER: Final = b"0" * 19
"""No integer beyond 64 bits has fewer digits."""
_INT64: Final = 2**63


def read_json(body: bytes) -> object:
    """The value in `body`; `Unclear` where there is none, or several."""
    try:
        value: object = _decode(body)
        plain = not (b"\\u" in body and _SUSPECT_ESCAPE(body)) and _modest(body, value) and _keys_once(body, value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
        plain = False
    if plain:
        return value
    try:
        return loads(body)
    except NotStrictError as error:
        raise Unclear(because(f"json-{error.code}", **error.parameters)) from error


def _keys_once(body: bytes, value: object) -> bool:
    # A repeated key is dropped by the decoder, and with it a colon that the bytes still have. (No string of what is
    # kept can make up for it: a colon written as an escape is suspect.)
    return body.count(b":") == _encode(value).count(b":")


def _modest(body: bytes, value: object) -> bool:
    """Whether no number is beyond 64 bits and nothing is nested too deeply."""
    shallow = body.count(b"{") + body.count(b"[") < MAX_DEPTH
    if shallow and _LONG_NUMBER not in body.translate(_ONLY_DIGITS):
        return True
    return _modest_items((value,), MAX_DEPTH)


def _modest_items(items: Iterable[object], depth: int) -> bool:
    if depth == 0:
        return False
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            if not _modest_items(item.values(), depth - 1):  # type: ignore[attr-defined] # it is a dict
                return False
        elif kind is list:
            if not _modest_items(item, depth - 1):  # type: ignore[arg-type] # it is a list
                return False
        elif kind is int and not -_INT64 <= item < _INT64:  # type: ignore[operator] # it is an int
            return False
    return True
