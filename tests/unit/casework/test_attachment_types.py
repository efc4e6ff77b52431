"""What an attached file is, by its bytes, and under which name it goes out again."""

import io
import unicodedata
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.casework.domain.attachments import (
    HEAD_BYTES,
    MEDIA_TYPES,
    NAME_LENGTH,
    TAIL_BYTES,
    TextProbe,
    clean_name,
    directory_of,
    is_archive,
    members_of,
    type_of_archive,
    type_of_beginning,
)

ODT = "application/vnd.oasis.opendocument.text"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def archive(*members: str, compression: int = zipfile.ZIP_STORED, comment: bytes = b"", says: str = ODT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.comment = comment
        for member in members:
            made.writestr(member, says if member == "mimetype" else "x" * 100)
    return file.getvalue()


def kind(content: bytes) -> str | None:
    directory = directory_of(content[-TAIL_BYTES:], len(content))
    if directory is None:
        return None
    members = members_of(content[directory.offset : directory.offset + directory.length], directory.members)
    return None if members is None else type_of_archive(content[:HEAD_BYTES], members)


def is_text(content: bytes, pieces: int = 7) -> bool:
    probe = TextProbe()
    for at in range(0, len(content), pieces):
        probe.feed(content[at : at + pieces])
    probe.feed(b"", last=True)
    return probe.is_text


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"MZ\x90\0", None),
        (b"\x7fELF", None),
        (b"<svg onload=alert(1)>", None),
        (b" %PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_beginning_says_what_it_is(head: bytes, media_type: str | None) -> None:
    assert type_of_beginning(head) == media_type


def test_office_files_are_archives_with_the_right_members() -> None:
    assert kind(archive("[Content_Types].xml", "word/document.xml")) == DOCX
    assert kind(archive("[Content_Types].xml", "xl/workbook.xml", compression=zipfile.ZIP_DEFLATED)) == XLSX
    assert kind(archive("mimetype", "content.xml")) == ODT
    assert kind(archive("mimetype", "content.xml", comment=b"a comment of some length")) == ODT
    assert is_archive(archive("mimetype"))


@pytest.mark.parametrize(
    "content",
    [
        archive("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
        archive("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"),
        archive("[Content_Types].xml"),
        archive("word/document.xml"),
        archive("payload.exe"),
        archive("content.xml", "mimetype"),
        archive("mimetype"),
        archive("mimetype", "content.xml", compression=zipfile.ZIP_DEFLATED),
        archive("mimetype", "content.xml", says="application/java-archive"),
        archive("mimetype", "content.xml", says=f"{ODT}-template"),
        archive("mimetype", "content.xml") + b"<script>",
        b"#!/bin/sh\n" + archive("mimetype", "content.xml"),
        archive("mimetype", "content.xml")[:-30],
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
    ],
)
def test_other_archives_are_nothing_that_is_kept(content: bytes) -> None:
    assert kind(content) is None


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_whatever_follows_the_first_bytes_of_an_archive_raises_nothing(noise: bytes, at: int) -> None:
    real = archive("mimetype", "content.xml")
    assert kind(real[:at] + noise + real[at + len(noise) :]) in {ODT, None}
    assert kind(noise + b"PK\x05\x06" + noise[:18]) is None


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_text_is_told_however_it_is_cut(written: str, pieces: int) -> None:
    assert is_text(f"{written}\r\n\t".encode(), pieces)


@pytest.mark.parametrize(
    "content", [b"a\0b", "Ольга".encode("cp1251"), "Ольга".encode()[:-1], b"\x1b[2J", b"\xff\xfea\0"]
)
def test_what_is_not_utf_8_or_steers_a_terminal_is_no_text(content: bytes) -> None:
    assert not is_text(content)


@pytest.mark.parametrize(
    ("written", "media_type", "name"),
    [
        ("договор.pdf", "application/pdf", "договор.pdf"),
        ("Scan.JPEG", "image/jpeg", "Scan.JPEG"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\fakepath\\счёт.pdf", "application/pdf", "счёт.pdf"),
        ("evil.html", "text/plain", "evil.html.txt"),
        ("run.exe", "image/png", "run.exe.png"),
        ("list.csv", "text/plain", "list.csv"),
        ("gpj.\u202eexe.png", "image/png", "gpj.exe.png"),
        ('a"\r\nSet-Cookie: x=1.png', "image/png", "a_ Set-Cookie_ x=1.png"),
        ("..", "image/png", "attachment.png"),
        ("\0\x01 ", "image/png", "attachment.png"),
        ("con.txt", "text/plain", "_con.txt"),
        ("я" * 500 + ".pdf", "application/pdf", "я" * 116 + ".pdf"),
    ],
)
def test_a_name_is_safe_and_ends_as_what_the_file_is(written: str, media_type: str, name: str) -> None:
    assert clean_name(written, media_type) == name


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(sorted(MEDIA_TYPES)))
@settings(max_examples=100, deadline=None)
def test_any_name_becomes_one_that_a_file_can_have(written: str, media_type: str) -> None:
    name = clean_name(written, media_type)
    assert 0 < len(name) <= NAME_LENGTH
    assert len(name.encode()) <= 255
    assert not set(name) & set('/\\<>:"|?*')
    assert not name.startswith(".")
    assert all(unicodedata.category(each)[0] != "C" for each in name)
    assert clean_name(name, media_type) == name
