"""What a file that somebody attaches to a case is, told by its bytes, and under which name it may be handed on.

    pdf, png, jpeg, gif, webp    by their first bytes
    docx, xlsx                   a zip archive with the members that make them, and none with macros
    odt, ods                     a zip archive whose first member says so, uncompressed, as OpenDocument 1.3 part 2, 3.3
    plain text, csv              UTF-8 to the last byte, without control characters

Nothing is unpacked. The name decides nothing: it is given the ending of what the file is.
"""

from __future__ import annotations

import codecs
import re
import struct
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

RemovalReason = Literal["wrong_case", "wrong_file", "duplicate", "customer_asked", "other"]

HEAD_BYTES: Final = 512
"""How much of a file's beginning tells what it is, as far as the beginning can."""
TAIL_BYTES: Final = 22 + 65_535
"""How much of an archive's end holds the record that says where its directory is."""

_DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ODT: Final = "application/vnd.oasis.opendocument.text"
_ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"

_ENDINGS: Final = {
    "application/pdf": (".pdf",),
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    _DOCX: (".docx",),
    _XLSX: (".xlsx",),
    _ODT: (".odt",),
    _ODS: (".ods",),
    "text/plain": (".txt", ".log", ".md", ".csv"),
    "text/csv": (".csv", ".txt"),
}
MEDIA_TYPES: Final = frozenset(_ENDINGS)

_BEGINNINGS: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_LOCAL: Final = b"PK\x03\x04"
_CENTRAL: Final = struct.Struct("<4s24xHHH12x")
_END: Final = struct.Struct("<4s2xH2xHIIH")
_LOCATOR: Final = b"PK\x06\x07"
_LOCATOR_BYTES: Final = 20
_LARGEST_DIRECTORY: Final = 1_048_576
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def type_of_beginning(head: bytes) -> str | None:
    """The media type of a file that begins like this, where its beginning says it; archives and text never do."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for bytes_, media_type in _BEGINNINGS if head.startswith(bytes_)), None)


def is_archive(head: bytes) -> bool:
    """Whether it begins as a zip archive with a member."""
    return head.startswith(_LOCAL)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where in an archive the list of its members stands, in bytes, and how many they are."""

    offset: int
    length: int
    members: int


def directory_of(tail: bytes, size: int) -> Directory | None:
    """Found in the last `TAIL_BYTES` of an archive of `size` bytes; None where it is none, or none for an office file.

    Archives in parts, of the 64-bit form, and with a list of more than 1 MiB are none.
    """
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return None
    _, disk, members, length, offset, comment = _END.unpack_from(tail, at)
    parted = disk != 0 or tail[max(0, at - _LOCATOR_BYTES) :].startswith(_LOCATOR)
    fits = offset + length == size - len(tail) + at and at + _END.size + comment == len(tail)
    if parted or not fits or length > _LARGEST_DIRECTORY:
        return None
    return Directory(offset, length, members)


def members_of(listed: bytes, members: int) -> frozenset[str] | None:
    """The names in an archive's list of members; None where it is not such a list, or names one of them twice."""
    names = []
    at = 0
    while at < len(listed):
        if len(listed) - at < _CENTRAL.size:
            return None
        signature, name, extra, comment = _CENTRAL.unpack_from(listed, at)
        if signature != b"PK\x01\x02":
            return None
        at += _CENTRAL.size
        names.append(listed[at : at + name].decode("utf-8", "replace"))
        at += name + extra + comment
    found = frozenset(names)
    return found if at == len(listed) and len(names) == len(found) == members else None


def type_of_archive(head: bytes, members: AbstractSet[str]) -> str | None:
    """The media type of an office file; None of any other archive, and of a file with macros."""
    if any(name.lower().endswith("vbaproject.bin") for name in members):
        return None
    if "[Content_Types].xml" in members:
        word, excel = "word/document.xml" in members, "xl/workbook.xml" in members
        return None if word == excel else _DOCX if word else _XLSX
    return next((each for each in (_ODT, _ODS) if _says(head, each) and "content.xml" in members), None)


def _says(head: bytes, media_type: str) -> bool:
    """Whether the first member is called `mimetype`, is stored as it is, and says this and nothing more."""
    written = media_type.encode()
    return (
        head[8:10] == b"\0\0"
        and head[18:22] == len(written).to_bytes(4, "little")
        and head[26:38] == b"\x08\0\0\0mimetype"
        and head[38 : 38 + len(written)] == written
    )


class TextProbe:
    """Reads a file piece by piece, as long as it can be text."""

    def __init__(self) -> None:
        self._decoder: Final = codecs.getincrementaldecoder("utf-8")("strict")
        self.is_text = True

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """The next piece; the last one must not end within a character."""
        if not self.is_text:
            return
        try:
            self._decoder.decode(piece, last)
        except UnicodeDecodeError:
            self.is_text = False
        else:
            self.is_text = _CONTROLS.search(piece) is None


NAME_LENGTH: Final = 120
"""How many characters a name has at most; all of them fit into the 255 bytes that file systems allow, or it is cut."""
_NAME_BYTES: Final = 240
_FORBIDDEN: Final = re.compile(r'[<>:"|?*]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def clean_name(written: str, media_type: str) -> str:
    """A name that is safe to save a file of this type under: no path, nothing invisible, no other type's ending."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", written)[-1])
    name = _FORBIDDEN.sub("_", " ".join("".join(map(_visible, name)).split())).strip(". ")
    endings = _ENDINGS[media_type]
    ending = next((each for each in endings if name.lower().endswith(each)), None)
    stem = name if ending is None else name[: -len(ending)]
    ending = endings[0] if ending is None else name[-len(ending) :]
    stem = f"_{stem}" if _DEVICES.fullmatch(stem) else stem
    stem = stem[: NAME_LENGTH - len(ending)].encode()[: _NAME_BYTES - len(ending)].decode(errors="ignore").strip(". ")
    return f"{stem or 'attachment'}{ending}"


def _visible(character: str) -> str:
    # Categories C*: controls, marks that turn the direction of writing, halves of characters; Z*: separators.
    category = unicodedata.category(character)[0]
    return " " if category == "Z" or character in "\t\n\r" else "" if category == "C" else character
