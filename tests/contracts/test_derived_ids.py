"""Ids that follow from others are those that every other implementation of UUIDs of version 5 gives."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.event import derived_id, named
from libs.events.ids import parse


@given(namespace=st.uuids(), name=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_derived_id_is_a_uuid_of_version_5(namespace: UUID, name: str) -> None:
    expected = uuid5(namespace, name)
    of_the_driver = parse(str(namespace))
    for derived in (named(namespace, name), named(of_the_driver, name)):
        assert derived == expected
        assert (derived.version, str(derived), hash(derived)) == (5, str(expected), hash(expected))
    assert isinstance(of_the_driver, UUID)


def test_parts_of_one_type_are_told_apart() -> None:
    cause = UUID("0d2f2d0e-6d8a-4f2b-9d5d-3b8d2f1f7c11")
    ids = {derived_id(cause, "message.queued.v1", part) for part in ("", "anna", "boris")}
    assert ids == {
        uuid5(cause, "message.queued.v1"),
        uuid5(cause, "message.queued.v1/anna"),
        uuid5(cause, "message.queued.v1/boris"),
    }


@pytest.mark.parametrize(
    "text", ["", "no-uuid", "0d2f2d0e-6d8a-4f2b-9d5d-3b8d2f1f7c1", "0d2f2d0e6d8a4f2b9d5d3b8d2f1f7c1100"]
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        parse(text)
