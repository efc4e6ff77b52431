"""Rows in bytes: the same rows wherever the bytes are cut, and a broken line that costs nothing but itself."""

import csv
import io
import json
import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.detection import Given, Unreadable, detect
from services.ingest.domain.tables import LARGEST_ROW, Encoding, Layout, Position, Row, Rows, Separator

SEPARATORS: Final[tuple[Separator, ...]] = (",", ";", "\t", "|")
ENCODINGS: Final[tuple[Encoding, ...]] = ("utf-8", "utf-8-sig", "windows-1251")
PYTHON_CODECS: Final = {"utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "windows-1251": "cp1251"}
# А to я in Windows-1251 are never UTF-8, whatever stands beside them; single other letters may be by accident.
CYRILLIC: Final = "".join(map(chr, range(ord("А"), ord("я") + 1)))
names = st.text(CYRILLIC + string.ascii_letters + " ()-_?", min_size=1, max_size=12).map(str.strip)
cells = st.text(CYRILLIC + string.ascii_letters + string.digits + " ,;|\t\"'\n.!", max_size=12)


def rows_of(layout: Layout, content: bytes, *, cuts: tuple[int, ...] = ()) -> list[Row]:
    found: list[Row] = []
    reader, last = Rows(layout, Position()), 0
    for cut in sorted(min(cut, len(content)) for cut in cuts):
        found += reader.feed(content[last:cut])
        last = cut
    return found + list(reader.feed(content[last:], final=True))


def values(rows: list[Row]) -> list[dict[str, str]]:
    return [json.loads(row.body) for row in rows if row.fault is None]


def a_layout(*columns: str, encoding: Encoding = "utf-8", separator: Separator = ";") -> Layout:
    return Layout("csv", encoding, separator, columns or ("id", "score", "comment"))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    header = draw(st.lists(names.filter(bool), min_size=2, max_size=6, unique_by=lambda name: " ".join(name.split())))
    header = [" ".join(name.split()) for name in header]
    header[0] = f"Оценка {header[0]}"
    row = st.lists(cells, min_size=len(header), max_size=len(header)).filter(any)
    return header, draw(st.lists(row, min_size=1, max_size=8))


@given(tables(), st.sampled_from(SEPARATORS), st.sampled_from(ENCODINGS), st.sampled_from(["\n", "\r\n"]), st.data())
def test_any_table_is_detected_and_read_back_as_it_was(
    table: tuple[list[str], list[list[str]]],
    separator: Separator,
    encoding: Encoding,
    line_end: str,
    data: st.DataObject,
) -> None:
    header, rows = table
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator=line_end).writerows([header, *rows])
    content = file.getvalue().encode(PYTHON_CODECS[encoding])

    detected = detect(content, Given(), whole=True)

    assert (detected.layout.encoding, detected.layout.separator) == (encoding, separator)
    assert detected.layout.columns == tuple(header)
    cuts = tuple(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    found: list[Row] = []
    reader, last = Rows(detected.layout, detected.position), detected.position.offset
    for cut in [*sorted(cut for cut in cuts if cut >= last), len(content)]:
        found += reader.feed(content[last:cut], final=cut == len(content))
        last = cut
    assert values(found) == [dict(zip(header, row, strict=True)) for row in rows]


@given(st.text('a;"\n\r', max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=6))
def test_whatever_the_bytes_are_they_may_be_cut_anywhere(content: bytes, cuts: list[int]) -> None:
    assert rows_of(a_layout("a", "b"), content, cuts=tuple(cuts)) == rows_of(a_layout("a", "b"), content)


@given(st.text('a;"\n\r', max_size=60).map(str.encode), st.integers(0, 10))
def test_reading_goes_on_at_any_position_as_if_it_had_not_stopped(content: bytes, stop_after: int) -> None:
    layout = a_layout("a", "b")
    first: list[Row] = []
    reader = Rows(layout, Position())
    for row in reader.feed(content, final=True):
        first.append(row)
        if len(first) > stop_after:
            break

    rest = Rows(layout, reader.position).feed(content[reader.position.offset :], final=True)

    assert first + list(rest) == rows_of(layout, content)


def test_a_broken_quote_costs_its_own_line_only() -> None:
    rows = rows_of(a_layout(), b'1;3;"never closed\n2;9;"fine, and\non two lines"\n3;"8"x;\n4;7;last')

    assert [(row.line, row.fault is None) for row in rows] == [(1, False), (2, True), (4, False), (5, True)]
    assert values(rows)[0]["comment"] == "fine, and\non two lines"


def test_a_quote_that_is_not_closed_at_the_end_is_a_fault_of_its_line() -> None:
    rows = rows_of(a_layout(), b'1;3;"never closed\n2;9;good\n')

    assert [(row.line, row.fault is None) for row in rows] == [(1, False), (2, True)]


def test_another_number_of_columns_or_bytes_of_another_encoding_are_faults() -> None:
    rows = rows_of(a_layout(), b"1;3\n2;9;good;more\n3;9;\xff\xfe\n4;9;fine\n")

    assert [row.fault for row in rows] == [
        "the row has 2 columns, and the first line 3",
        "the row has 4 columns, and the first line 3",
        "the bytes are not utf-8",
        None,
    ]


def test_a_row_without_end_is_given_up_in_bounded_memory() -> None:
    found: list[Row] = []
    reader = Rows(a_layout(), Position())
    for _ in range(20):
        found += reader.feed(b"x" * LARGEST_ROW)
        assert len(reader._records._rest) <= LARGEST_ROW + 1
    found += reader.feed(b"\n2;9;good\n", final=True)

    assert [(row.line, row.fault is None) for row in found] == [(1, False), (2, True)]


@pytest.mark.parametrize("size", [LARGEST_ROW - 5, LARGEST_ROW - 4, LARGEST_ROW - 3, LARGEST_ROW + 10])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("quoted", [False, True])
def test_how_long_a_row_may_be_does_not_depend_on_the_cuts(size: int, end: bytes, *, quoted: bool) -> None:
    cell = b'"' + b"x" * (size - 2) + b'"' if quoted else b"x" * size
    content = b"1;2;" + cell + end + b"2;9;good" + end
    whole = rows_of(a_layout(), content)

    for cut in range(LARGEST_ROW - 8, LARGEST_ROW + 8):
        assert rows_of(a_layout(), content, cuts=(cut,)) == whole


def test_empty_lines_and_rows_of_nothing_are_passed_over() -> None:
    rows = rows_of(a_layout(), b"\n1;3;a\n\r\n;;\n  \n2;4;b\n\n")

    assert [row.line for row in rows if row.fault is None] == [2, 6]


def test_the_same_row_is_the_same_body_in_whatever_order_its_columns_stand() -> None:
    [one] = rows_of(a_layout("id", "score"), b"r-1;9")
    [other] = rows_of(a_layout("score", "id"), b"9;r-1")

    assert one.body == other.body


def test_lines_of_json_are_rows_or_faults() -> None:
    layout = Layout("jsonl", "utf-8")
    content = b'{"id": 1, "a": {"b": "x:y"}}\n\nnot json\n[1]\n{"id": 1, "id": 2}\n{"a":"\\ud800"}\n{"id": 1e999}\n'

    rows = rows_of(layout, content)

    assert [(row.line, row.fault is None) for row in rows][:4] == [(1, True), (3, False), (4, False), (5, False)]
    assert rows[0].body == b'{"a":{"b":"x:y"},"id":1}'


@pytest.mark.parametrize(
    ("content", "encoding", "separator"),
    [
        ("Имя;Ответ\nАнна;Всё хорошо — «да» № 5, ещё бы\n".encode("cp1251"), "windows-1251", ";"),
        (b"id,why, in your words\n1,a\n2,b\n", "utf-8", ","),
        (b"How likely, 0 to 10?;Why, in your words?\n9;fine, thanks\n3;no\n", "utf-8", ";"),
        (b'sep=|\r\nid|score\r\n"a;b;c;d"|9\r\n', "utf-8", "|"),
        (b"score;when\n" + "9;вчера\n".encode() * 20 + b"8;\xe2\xf7\n", "utf-8", ";"),
    ],
)
def test_what_programs_write_is_detected(content: bytes, encoding: str, separator: str) -> None:
    detected = detect(content, Given(), whole=True)

    assert (detected.layout.encoding, detected.layout.separator) == (encoding, separator)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id;score\n1;2\n".encode("utf-16"), "UTF-16"),
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b'[{"id": 1}]', "one JSON array"),
        (b"one\ntwo\n", "no separator"),
        (b"a;b\r1;2\r", "CR alone"),
        (b"{not json\n", "no line of the file"),
        (b"a;" * 600 + b"\n1;2\n", "columns, more than"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        detect(content, Given(), whole=True)


def test_columns_without_a_name_or_with_the_same_get_one_of_their_own() -> None:
    detected = detect(b"score;;score;when\n1;2;3;4\n", Given(), whole=True)

    assert detected.layout.columns == ("score", "column 2", "score (3)", "when")
