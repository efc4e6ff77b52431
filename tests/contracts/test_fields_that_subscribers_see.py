"""Which fields of events go out by web hooks is decided for each of them."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from libs.events.topics import CONTRACTS
from services.notify.domain.visibility import COMMENTS, FACTS, PEOPLE, kind_of


def fields_of(struct: type[msgspec.Struct]) -> Iterator[str]:
    def within(annotation: Any) -> Iterator[str]:  # noqa: ANN401 - a type of any form
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            yield from fields_of(annotation)
        for part in get_args(annotation):
            yield from within(part)

    for field in msgspec.structs.fields(struct):
        yield field.name
        yield from within(field.type)


@pytest.mark.parametrize("type_", sorted(CONTRACTS))
def test_every_field_of_every_event_is_a_fact_a_comment_or_about_people(type_: str) -> None:
    undecided = {name for name in fields_of(CONTRACTS[type_]) if kind_of(type_, name) is None}
    assert not undecided, "decide in services/notify/domain/visibility.py who may see them"


def test_nothing_is_decided_twice_or_for_nobody() -> None:
    assert not FACTS & COMMENTS | FACTS & PEOPLE | COMMENTS & PEOPLE
    known = {name for contract in CONTRACTS.values() for name in fields_of(contract)}
    assert known >= FACTS | COMMENTS | PEOPLE
