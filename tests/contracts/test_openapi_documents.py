"""The services' HTTP, as their own apps describe it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.events.generate import http_documents

SERVICES = ("ingest", "scoring", "casework", "notify", "portal")
OPEN_TO_ALL = {
    ("ingest", "/v1/webhooks/{source}"),  # by the vendor's signature
    ("notify", "/v1/bounces/providers/{provider}"),  # by the mail provider's
    ("portal", "/v1/events"),  # by the session's cookie
}

Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    return {
        name.removeprefix("openapi-").removesuffix(".json"): json.loads(text) for name, text in http_documents().items()
    }


def references(value: object) -> Iterator[str]:
    match value:
        case dict():
            for name, each in value.items():
                if name == "$ref" and isinstance(each, str):
                    yield each
                else:
                    yield from references(each)
        case list():
            for each in value:
                yield from references(each)


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_every_service_is_described_without_a_database(documents: dict[str, Document]) -> None:
    assert tuple(documents) == SERVICES
    assert all(document["openapi"].startswith("3.1") and document["paths"] for document in documents.values())


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere(documents: dict[str, Document], service: str) -> None:
    for reference in references(documents[service]):
        found: Any = documents[service]
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_name_of_its_own_and_a_door(documents: dict[str, Document], service: str) -> None:
    found = list(operations(documents[service]))
    assert len({operation["operationId"] for _, operation in found}) == len(found)
    without = {(service, path) for path, operation in found if not operation.get("security")}
    assert without <= OPEN_TO_ALL


@pytest.mark.parametrize("service", SERVICES)
def test_refusals_are_problems(documents: dict[str, Document], service: str) -> None:
    for path, operation in operations(documents[service]):
        for status, answer in operation["responses"].items():
            if status == "default" or status.startswith(("4", "5")):
                assert "application/problem+json" in answer.get("content", {}), (path, status)
