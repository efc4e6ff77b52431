"""Signed links: only ours are read, and they tell nothing."""

import base64
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from services.notify.domain.messages import MessageId
from services.notify.links import ConfirmationLinks

OLD = "the former secret, of thirty-two characters"
NEW = "the present secret, of thirty-two characters"
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

links = ConfirmationLinks("https://otklik.example/", [NEW])


@given(st.uuids())
def test_a_link_names_its_message(id_: UUID) -> None:
    link = links.link(MessageId(id_))
    prefix, _, token = link.rpartition("/")
    assert prefix == "https://otklik.example/c"
    assert set(token) <= set(URL_SAFE)
    assert len(link) < 150
    assert links.read(token) == id_
    assert links.read(f"{token}.") == links.read(f"{token})»") == id_


@given(st.uuids(), st.data())
def test_a_changed_token_is_no_token(id_: UUID, data: st.DataObject) -> None:
    token = links.token(MessageId(id_))
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(URL_SAFE))
    changed = token[:place] + other + token[place + 1 :]
    # The last characters of unpadded Base64 carry bits that mean nothing: they may be read, but as the same message.
    assert links.read(changed) in (None, id_)
    if place < token.rindex(".") and other != token[place]:
        assert links.read(changed) is None


@given(st.uuids(), st.uuids())
def test_a_signature_is_good_for_one_message_only(one: UUID, other: UUID) -> None:
    mine, theirs = links.token(MessageId(one)), links.token(MessageId(other))
    mixed = theirs.rpartition(".")[0] + "." + mine.rpartition(".")[2]
    assert links.read(mixed) == (other if one == other else None)


@given(st.text(max_size=300))
def test_nothing_else_is_read(text: str) -> None:
    assert links.read(text) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_that_looks_like_a_token_is_read(payload: bytes, signature: bytes) -> None:
    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    assert links.read(f"{encoded(payload)}.{encoded(signature)}") is None
    assert links.read(f".{encoded(payload)}.{encoded(signature)}") is None


def test_a_token_of_another_purpose_is_no_token_of_ours() -> None:
    id_ = uuid4()
    for salt in ("itsdangerous", "otklik.notify.unsubscribe.v1"):
        assert links.read(str(URLSafeSerializer(NEW, salt=salt).dumps(id_.hex))) is None


def test_both_secrets_verify_while_they_are_rotated_and_the_present_one_signs() -> None:
    id_ = MessageId(uuid4())
    former, rotating = ConfirmationLinks("", [OLD]), ConfirmationLinks("", [NEW, OLD])
    assert rotating.read(former.token(id_)) == id_
    assert rotating.token(id_) == links.token(id_)
    assert links.read(former.token(id_)) is None


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [NEW, ""]])
def test_a_secret_that_guards_nothing_is_refused(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="link secret"):
        ConfirmationLinks("https://otklik.example", secrets)
