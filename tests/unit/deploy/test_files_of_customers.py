"""A company's file of customers: understood, sent in batches, and gone on with after a kill."""

import json
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import customer_import
from deploy.customer_import import CustomerImport, Progress, Scoring, look_at
from deploy.customer_rows import NotUnderstood, guess, item
from deploy.import_sending import SeenFile, look_through
from deploy.troubles import CommandError
from services.ingest.domain.detection import Given

HEADER = "Код клиента;ФИО;email;Выручка;attributes.plan;attributes.seats;прочее"
DEFAULTS = {"language": "ru", "time_zone": "Europe/Moscow"}


class Killed(BaseException):
    """The process is gone."""


class FakeScoring:
    """Keeps what it takes, refuses who has no e-mail, and dies with its client where it is told to."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.batches: list[list[str]] = []
        self.dies_at: int | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["items"]
        self.batches.append([each["id"] for each in items])
        results = []
        for number, each in enumerate(items):
            if "email" not in each:
                errors = [{"pointer": f"/items/{number}/email", "detail": "is missing"}]
                results.append({"id": each["id"], "status": "invalid", "errors": errors})
                continue
            status = "unchanged" if self.taken.get(each["id"]) == each else "created"
            self.taken[each["id"]] = each
            results.append({"id": each["id"], "status": status, "errors": []})
        if self.dies_at == len(self.batches):
            raise Killed
        return httpx.Response(200, json={"items": results})

    @property
    def client(self) -> Scoring:
        transport = httpx.MockTransport(self.answer)
        return Scoring(httpx.Client(base_url="http://scoring", transport=transport), lambda _: None)


def seen_file(path: Path, *lines: str, encoding: str = "utf-8") -> SeenFile:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return look_through(path, lambda _: None)


def the_import(seen: SeenFile, **said: str) -> CustomerImport:
    found, columns = look_at(seen, Given(None, seen.encoding, None), "customers", said)  # type: ignore[arg-type]  # one of them
    return CustomerImport(seen, found, "customers", columns, DEFAULTS)


def sent(import_: CustomerImport, server: FakeScoring) -> Progress:
    *_, last = import_.send(server.client)
    return last


def errors_of(import_: CustomerImport) -> list[tuple[int, str]]:
    return [(each["line"], each["reason"]) for each in map(json.loads, import_.errors.read_text().splitlines())]


def test_columns_are_known_by_the_names_that_companies_use() -> None:
    assert guess(HEADER.split(";"), "customers", {}) == {
        "id": "Код клиента",
        "name": "ФИО",
        "email": "email",
        "current_value": "Выручка",
        "attributes.plan": "attributes.plan",
        "attributes.seats": "attributes.seats",
    }
    assert guess(["a", "b"], "accounts", {"id": "a", "name": "b"}) == {"id": "a", "name": "b"}


@pytest.mark.parametrize(
    ("columns", "said", "told"),
    [
        (["id"], {}, "name"),
        (["id", "name"], {"nickname": "name"}, "no field nickname"),
        (["id", "name"], {"email": "mail"}, "no column 'mail'"),
        (["id", "name"], {"id": ""}, "no column for id"),
    ],
)
def test_what_cannot_be_mapped_is_said(columns: list[str], said: dict[str, str], told: str) -> None:
    with pytest.raises(NotUnderstood, match=told):
        guess(columns, "customers", said)


@pytest.mark.parametrize(
    ("field", "written", "understood"),
    [
        ("current_value", "1 200 000,50", 1_200_000.5),
        ("potential_value", 7, 7),
        ("source_version", "12", 12),
        ("products", "ипотека|вклад", ["ипотека", "вклад"]),
        ("email_consent", "Нет", False),
        ("phone", " +7 495 000-00-01 ", "+7 495 000-00-01"),
    ],
)
def test_values_are_read_as_companies_write_them(field: str, written: object, understood: object) -> None:
    assert item({"id": 5, field: written}, {"id": "id", field: field}, {}) == {"id": "5", field: understood}


def test_attributes_are_numbers_only_where_they_are_written_as_such() -> None:
    written = {"a": "12", "b": "0012", "c": "1.5", "d": "true", "e": "да", "f": ""}
    columns = {"id": "id", **{f"attributes.{name}": name for name in written}}
    found = item({"id": "c-1", **written}, columns, {})["attributes"]
    assert found == {"a": 12, "b": "0012", "c": 1.5, "d": True, "e": "да"}


@pytest.mark.parametrize(
    "row", [{"id": ""}, {"id": "c-1", "current_value": "much"}, {"id": "c-1", "email_consent": "perhaps"}]
)
def test_what_is_no_value_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(NotUnderstood):
        item(row, {name: name for name in row}, {})


def test_a_file_in_the_encoding_of_old_systems_is_loaded_with_its_errors_beside(tmp_path: Path) -> None:
    path = tmp_path / "клиенты.csv"
    seen = seen_file(
        path, HEADER, "1;Анна;a@example.org;10;gold;05;x", "2;Борис;;5;;;", "3;Вера", "4;Глеб;g@example.org;много;;;",
        "5;Дина;d@example.org;;;;", encoding="cp1251",
    )  # fmt: skip
    server, import_ = FakeScoring(), the_import(seen)
    assert sent(import_, server).counts == {"created": 2, "invalid": 3}
    assert server.taken["1"] == {
        **DEFAULTS, "id": "1", "name": "Анна", "email": "a@example.org", "current_value": 10.0,
        "attributes": {"plan": "gold", "seats": "05"},
    }  # fmt: skip
    assert [line for line, _ in errors_of(import_)] == [3, 4, 5]
    assert errors_of(import_)[0][1] == "email is missing"
    assert errors_of(import_)[2][1] == "current_value is no number"


def test_json_lines_are_taken_as_they_are(tmp_path: Path) -> None:
    row = {"id": 7, "name": "Анна", "email": "a@example.org", "attributes": {"vip": True}, "products": ["вклад"]}
    server = FakeScoring()
    sent(the_import(seen_file(tmp_path / "c.jsonl", json.dumps(row))), server)
    assert server.taken == {"7": {**DEFAULTS, **row, "id": "7"}}


def test_an_id_counts_once_in_a_batch_and_the_order_stays(tmp_path: Path) -> None:
    lines = [f"{id_};Имя {n};a@example.org" for n, id_ in enumerate(["a", "b", "a", "c"])]
    server = FakeScoring()
    sent(the_import(seen_file(tmp_path / "c.csv", "id;name;email", *lines)), server)
    assert server.batches == [["a", "b"], ["a", "c"]]
    assert server.taken["a"]["name"] == "Имя 2"


def test_a_file_that_is_changed_meanwhile_is_not_gone_on_with(tmp_path: Path) -> None:
    seen = seen_file(tmp_path / "c.csv", "id;name;email", "1;Анна;a@example.org")
    import_ = the_import(seen)
    seen.path.write_text("id;name;email\n", encoding="utf-8")
    with pytest.raises(CommandError):
        sent(import_, FakeScoring())


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.sampled_from(["good", "no e-mail", "no row", "no value"]), min_size=1, max_size=12),
    deaths=st.lists(st.integers(1, 4), max_size=3),
    at_once=st.integers(1, 4),
)
def test_an_import_that_is_killed_again_and_again_loads_each_row_once(
    rows: list[str], deaths: list[int], at_once: int
) -> None:
    written = {
        "good": "{n};Имя;a@example.org;1",
        "no e-mail": "{n};Имя;;1",
        "no row": "{n};Имя",
        "no value": "{n};И;e;x",
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(customer_import, "ROWS_AT_ONCE", at_once)
        lines = [written[kind].format(n=n) for n, kind in enumerate(rows)]
        seen = seen_file(Path(folder) / "c.csv", "id;name;email;revenue", *lines)
        server = FakeScoring()
        for after in deaths:
            server.dies_at = len(server.batches) + after
            import_ = the_import(seen)
            try:
                sent(import_, server)
            except Killed:
                continue
        server.dies_at = None
        import_ = the_import(seen)
        last = sent(import_, server)
        assert sorted(server.taken) == sorted(str(n) for n, kind in enumerate(rows) if kind == "good")
        assert (sum(last.counts.values()), last.counts.get("invalid", 0)) == (
            len(rows),
            sum(kind != "good" for kind in rows),
        )
        wrong = [n + 2 for n, kind in enumerate(rows) if kind != "good"]
        assert [line for line, _ in errors_of(import_)] == wrong if wrong else not import_.errors.exists()
