"""Bodies that are forms: url-encoded with nested names, and multipart; as strict as the JSON reader."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.ingest.domain.reasons import because
from services.ingest.domain.values import Unclear
from services.ingest.vendors.reading import read_json

_MOST_FIELDS: Final = 1_000
_MOST_DEPTH: Final = 10
_NAME: Final = re.compile(r"[^\[\]]+|(?<=\[)[^\[\]]*(?=\])")
_NESTED: Final = re.compile(r"[^\[\]]+(?:\[[^\[\]]*\])*")


def form_body(body: bytes, _content_type: str) -> object:
    """`a[b]=1&a[c]=2` as `{"a": {"b": "1", "c": "2"}}`; `Unclear` where a name stands twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=False,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except UnicodeDecodeError as error:
        raise Unclear(because("form-encoding")) from error
    except ValueError as error:
        raise Unclear(because("form-fields", most=_MOST_FIELDS)) from error
    if not pairs:
        raise Unclear(because("form-none"))
    return _nested(pairs)


def multipart_body(body: bytes, content_type: str) -> object:
    """The fields of a multipart form by name; files are left out. `Unclear` where it is none."""
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise Unclear(because("multipart-type"))
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise Unclear(because("multipart-none")) from error
    if not parts.finished:
        raise Unclear(because("multipart-end"))
    return _nested(parts.fields)


def json_in(payload: dict[str, Any], field: str) -> object:
    """The JSON value that a form's `field` holds as text."""
    text = payload.get(field)
    if not isinstance(text, str):
        raise Unclear(because("form-no-field", name=field))
    return read_json(text.encode())


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise Unclear(because("form-nul"))
        if _NESTED.fullmatch(name) is None:
            raise Unclear(because("form-brackets"))
        *above, last = _NAME.findall(name)
        if len(above) >= _MOST_DEPTH:
            raise Unclear(because("form-depth"))
        place = root
        for key in above:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise Unclear(because("form-value-and-group"))
        if last in place:
            raise Unclear(because("form-repeated-field"))
        place[last] = value
    return root


class _Parts:
    """Collects the fields of a multipart form from its parser's callbacks."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.finished = False
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._content: list[bytes] = []

    def callbacks(self) -> Any:  # noqa: ANN401 - the parser's own type of callbacks is private
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._name,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_part_data": self._more,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition = b""
        self._content = []

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _more(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name is None:
            raise Unclear(because("multipart-name"))
        if b"filename" in options:
            return
        if len(self.fields) >= _MOST_FIELDS:
            raise Unclear(because("form-fields", most=_MOST_FIELDS))
        try:
            self.fields.append((name.decode(), b"".join(self._content).decode()))
        except UnicodeDecodeError as error:
            raise Unclear(because("multipart-encoding")) from error

    def _finish(self) -> None:
        self.finished = True
