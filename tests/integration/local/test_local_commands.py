import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli_migrate import role_passwords
from deploy.cli_tail import Wanted, described
from deploy.local.secrets_file import load_or_make
from deploy.local.settings import SERVICES
from deploy.troubles import CommandError
from libs.events.codec import Record

ANYTHING = Wanted()


def a_record(
    value: bytes | None = b'{"case_id": "c-1", "comment": "terrible", "owner": {"name": "Anna", "email": "a@b.c"}}',
    *,
    type_: str = "case.opened.v1",
) -> Record:
    headers = (("ce_type", type_.encode()), ("ce_subject", b"c-1"), ("ce_time", b"2026-03-01T10:00:00Z"))
    return Record("casework.cases", 2, 41, b"customer-7", value, headers)


def line(record: Record, wanted: Wanted = ANYTHING, *, full: bool = False) -> str:
    text = described(record, wanted, full=full)
    return "" if text is None else text.plain


def test_a_followed_event_is_one_line_without_comments_and_contact_details() -> None:
    assert "casework.cases/2@41 case.opened.v1 c-1 case_id=c-1 comment=… owner.name=… owner.email=…" in line(a_record())


def test_all_of_an_event_is_shown_when_that_is_asked_for() -> None:
    assert "comment=terrible owner.name=Anna owner.email=a@b.c" in line(a_record(), full=True)


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Wanted(type_like="case.*"), True),
        (Wanted(type_like="case.opened"), True),
        (Wanted(type_like="message.*"), False),
        (Wanted(subject_like="c-*"), True),
        (Wanted(subject_like="c-2"), False),
    ],
)
def test_events_are_filtered_by_type_and_subject(wanted: Wanted, shown: bool) -> None:  # noqa: FBT001
    assert bool(line(a_record(), wanted)) is shown


def test_an_erasure_and_a_broken_body_are_shown_as_what_they_are() -> None:
    assert "(erased)" in line(a_record(None))
    assert "(3 bytes that are not JSON)" in line(a_record(b"\xff{["))


def test_roles_get_the_passwords_of_their_services_urls() -> None:
    urls = {service: f"postgresql://{service}:p%40ss-{service}@db.example/otklik" for service in SERVICES}

    assert role_passwords(urls)["casework"] == "p@ss-casework"


def test_a_missing_or_foreign_url_is_named() -> None:
    urls = {service: f"postgresql://{service}:x@db.example/otklik" for service in SERVICES}

    with pytest.raises(CommandError, match="NOTIFY_DATABASE_URL"):
        role_passwords({name: url for name, url in urls.items() if name != "notify"})
    with pytest.raises(CommandError, match="INGEST_DATABASE_URL must name the role ingest"):
        role_passwords({**urls, "ingest": "postgresql://postgres:x@db.example/otklik"})


def test_secrets_are_made_once_and_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"

    first = load_or_make(path, roles=("ingest",))
    second = load_or_make(path, roles=("ingest", "scoring"))

    assert path.stat().st_mode & 0o777 == 0o600
    assert second.roles["ingest"] == first.roles["ingest"]
    assert second.notify_link == first.notify_link
    assert second.roles["scoring"] not in {first.roles["ingest"], first.postgres}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("keys", "list", "ingest"), "start it with `otklik up`"),
        (("keys", "list", "billing"), "There is no service billing"),
        (("tail",), "start it with `otklik up`"),
        (("tail", "--topic", "cases"), "There is no topic cases"),
        (("migrate",), "Set OTKLIK_DATABASE_URL"),
        (("up", "--only", "billing"), "There is no service billing"),
    ],
)
def test_expected_trouble_is_a_message_and_not_a_traceback(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    settings = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_SERVERS"))}
    done = subprocess.run(
        (sys.executable, "-m", "deploy.cli", *arguments),
        env={**settings, "OTKLIK_DATA_DIR": str(tmp_path), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
