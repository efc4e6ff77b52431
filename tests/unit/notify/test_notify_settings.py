"""What notify takes from the environment."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.notify.clients import MailServer
from services.notify.mime import Mailbox
from services.notify.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTIFY_LINK_SECRET", "short"),
        ("NOTIFY_LINK_SECRET", ""),
        ("NOTIFY_LINK_SECRET_PREVIOUS", "short"),
        ("NOTIFY_SENDER", "nobody"),
        ("NOTIFY_SMTP_CONNECTIONS", "0"),
    ],
)
def test_what_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, a_setting: Callable[[], Settings], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="1 validation error"):
        a_setting()


def test_the_sender_has_a_name_and_an_address(
    monkeypatch: pytest.MonkeyPatch, a_setting: Callable[[], Settings]
) -> None:
    monkeypatch.setenv("NOTIFY_SENDER", "Отклик <otklik@localhost>")
    assert a_setting().mailbox == Mailbox("Отклик", "otklik@localhost")
    monkeypatch.setenv("NOTIFY_SENDER", "care@company.example")
    assert a_setting().mailbox == Mailbox("company.example", "care@company.example")


def test_secrets_are_given_in_the_order_of_their_use_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, a_setting: Callable[[], Settings]
) -> None:
    monkeypatch.setenv("NOTIFY_LINK_SECRET", "n" * 40)
    monkeypatch.setenv("NOTIFY_LINK_SECRET_PREVIOUS", "o" * 40)
    assert a_setting().link_secrets == ["n" * 40, "o" * 40]
    assert "nnnn" not in repr(a_setting())


def test_a_doubt_outlasts_any_transfer(monkeypatch: pytest.MonkeyPatch, a_setting: Callable[[], Settings]) -> None:
    monkeypatch.setenv("NOTIFY_SMTP_TIMEOUT_SECONDS", "300")
    monkeypatch.setenv("NOTIFY_DOUBT_SETTLES_SECONDS", "10")
    assert a_setting().doubt_settles == timedelta(seconds=300)


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "mail.example:25", "lmtp://mail.example"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="mail server"):
        MailServer(url, connections=1, timeout=timedelta(seconds=1))
