"""A change that readers would not survive is refused, whoever makes it and however small."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import pytest

from libs.events import generate
from libs.events.event import Contract, Instant
from libs.events.generate import breaking, differing, event_documents, main
from libs.events.json_schemas import event_schema, incompatible_changes
from libs.events.topics import TOPICS, Topic


class Address(msgspec.Struct, frozen=True, kw_only=True):
    city: str
    street: str | None


class Moved(Contract, frozen=True, kw_only=True):
    """Somebody moved."""

    TYPE: ClassVar[str] = "person.moved.v1"

    person_id: str
    number: int
    floor: int | None
    at: Instant
    why: Literal["work", "love"]
    to: Address | None
    tags: list[str] = msgspec.field(default_factory=list)


TOPIC = Topic(
    name="people",
    key="person",
    types=(Moved,),
    partitions=1,
    retention=timedelta(days=1),
    consumers=("test.people",),
    producer="test",
)


def changed(**annotations: object) -> type[Contract]:
    """`Moved` with other fields; None removes one."""
    fields: list[tuple[str, object] | tuple[str, object, object]] = []
    for field in msgspec.structs.fields(Moved):
        annotation = annotations.pop(field.name, field.type)
        if annotation is None:
            continue
        if field.name == "tags" and annotation == field.type:
            fields.append((field.name, annotation, msgspec.field(default_factory=list)))
        else:
            fields.append((field.name, annotation))
    fields += [(name, annotation) for name, annotation in annotations.items() if not isinstance(annotation, tuple)]
    fields += [(name, *given) for name, given in annotations.items() if isinstance(given, tuple)]
    namespace = {"TYPE": "person.moved.v1", "__doc__": "Other words."}
    made = msgspec.defstruct("Moved", fields, bases=(Contract,), namespace=namespace, frozen=True, kw_only=True)
    assert issubclass(made, Contract)
    return made


class OtherAddress(msgspec.Struct, frozen=True, kw_only=True):
    town: str
    street: str | None


class LongerAddress(Address, frozen=True, kw_only=True):
    house: str = ""


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (lambda: changed(number=None), ["/number: removed"]),
        (lambda: changed(number=str), ["/number: its type changed"]),
        (lambda: changed(number=int | None), ["/number: its type changed"]),
        (lambda: changed(floor=int), ["/floor: its type changed"]),
        (lambda: changed(floor=str | None), ["/floor: its type changed"]),
        (lambda: changed(at=str), ["/at: its type changed"]),
        (lambda: changed(why=Literal["work"]), ["/why: without love"]),
        (lambda: changed(why=str), ["/why: its type changed"]),
        (lambda: changed(tags=list[int]), ["/tags/*: its type changed", "/tags: newly required"]),
        (lambda: changed(street=str), ["/street: newly required"]),
        (lambda: changed(to=OtherAddress | None), ["/to/city: removed", "/to/town: newly required"]),
        (lambda: changed(to=Address), ["/to: its type changed"]),
    ],
)
def test_what_readers_would_not_survive_is_named(after: Callable[[], type[Contract]], expected: list[str]) -> None:
    assert incompatible_changes(event_schema(Moved, TOPIC), event_schema(after(), TOPIC)) == expected


@pytest.mark.parametrize(
    "after",
    [
        lambda: Moved,
        changed,
        lambda: changed(street=(str, "")),
        lambda: changed(why=Literal["work", "love", "school"]),
        lambda: changed(to=LongerAddress | None),
    ],
)
def test_what_they_do_survive_is_allowed(after: Callable[[], type[Contract]]) -> None:
    assert incompatible_changes(event_schema(Moved, TOPIC), event_schema(after(), TOPIC)) == []


def test_an_event_that_moves_to_another_topic_or_key_is_lost_to_its_readers() -> None:
    moved = [
        event_schema(Moved, elsewhere) for elsewhere in (replace(TOPIC, name="persons"), replace(TOPIC, key="city"))
    ]
    found = [incompatible_changes(event_schema(Moved, TOPIC), each) for each in moved]
    assert found == [["x-topic changed"], ["x-key changed"]]


def test_each_field_of_each_real_event_is_guarded() -> None:
    for topic in TOPICS:
        for contract in topic.types:
            before = event_schema(contract, topic)
            for name in contract.__struct_fields__ if before.get("type") != "null" else ():
                without = event_schema(contract, topic)
                del without["$defs"][contract.__name__]["properties"][name]
                assert incompatible_changes(before, without) == [f"/{name}: removed"]


def test_a_removed_type_is_refused_and_a_new_one_is_welcome() -> None:
    whole = event_documents()
    fewer = event_documents([replace(TOPICS[0], types=TOPICS[0].types[:-1]), *TOPICS[1:]])
    gone = TOPICS[0].types[-1].TYPE
    assert breaking(whole, fewer) == [f"{gone}: removed"]
    assert breaking(fewer, whole) == []
    assert breaking(whole, fewer, unpublished=[gone]) == []


@pytest.fixture
def no_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """The streams alone: the services' own documents take seconds."""
    monkeypatch.setattr(generate, "http_documents", lambda: {"openapi-test.json": "{}\n"})


@pytest.mark.usefixtures("no_services")
def test_generating_twice_changes_nothing_and_the_check_then_passes(tmp_path: Path) -> None:
    assert main(["--to", str(tmp_path)]) == 0
    first = generate.committed(tmp_path)
    assert main(["--to", str(tmp_path)]) == 0
    assert generate.committed(tmp_path) == first
    assert main(["--check", "--to", str(tmp_path)]) == 0
    assert differing(first, event_documents()) == ["openapi-test.json"]


@pytest.mark.usefixtures("no_services")
@pytest.mark.parametrize("sabotage", ["edited", "missing", "superfluous"])
def test_the_check_names_each_file_that_is_not_up_to_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sabotage: str
) -> None:
    main(["--to", str(tmp_path)])
    path = tmp_path / ("other.json" if sabotage == "superfluous" else "asyncapi.json")
    if sabotage == "missing":
        path.unlink()
    else:
        path.write_text("{}\n")
    assert main(["--check", "--to", str(tmp_path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert main(["--to", str(tmp_path)]) == 0
    assert main(["--check", "--to", str(tmp_path)]) == 0


@pytest.mark.usefixtures("no_services")
@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_nothing_is_written_while_a_change_is_incompatible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    main(["--to", str(tmp_path)])
    path = tmp_path / "schemas" / "case.closed.v1.json"
    # As if the committed contract had another outcome than today's.
    path.write_text(path.read_text().replace('"confirmed"', '"confirmed", "withdrawn"'))
    before = generate.committed(tmp_path)
    assert main([*arguments, "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "case.closed.v1/outcome: without withdrawn" in said
    assert "publish a new type beside the old one" in said
    assert generate.committed(tmp_path) == before
    assert main(["--unpublished", "case.closed.v1", "--to", str(tmp_path)]) == 0
