"""No door stands open by mistake: every route of every service asks who comes, or says here why it need not."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi import FastAPI, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from libs.webapi.auth import ROLES, Access, Rule
from libs.webapi.strict_json import StrictRoute
from services.reference import apps

APPS: Final = apps()

PUBLIC: Final = {
    ("*", "/openapi.json"): "the reference: shapes, no data",
    ("*", "/docs"): "the same as a page",
    ("*", "/docs.css"): "its style",
    ("ingest", "/v1/webhooks/{source}"): "vendors authenticate by their own signature over the body",
    ("notify", "/c/{token}"): "customers have no log-in: the link is signed",
    ("notify", "/b/{token}"): "the same: a customer chooses when to be called",
    ("notify", "/u/{token}"): "the same: a customer unsubscribes",
    ("notify", "/u/d/{token}"): "a signed link is the key: turns one employee's digests off or on",
    ("notify", "/v1/bounces/providers/{provider}"): "mail providers authenticate by their own signatures",
    ("notify", "/changes"): "what the company tells everybody it has changed",
    ("notify", "/changes.atom"): "the same as a feed",
    ("notify", "/changes/{campaign_id}"): "one of these",
    ("notify", "/changes/share.png"): "what is shown beside a link to them",
    ("notify", "/changes/{campaign_id}/share.png"): "what is shown beside a link to one of these",
    ("portal", "/login"): "where one logs in; its form is bound to the browser by a token",
    ("portal", "/logout"): "ends whatever session the browser has; its form is bound to it by a token",
    ("portal", "/invitation/{token}"): "who was given the link chooses a password; it works once, and for a few days",
    ("portal", "/static"): "style, scripts and the sign: the same for everybody",
}


def routes(app: FastAPI) -> Iterator[Any]:
    yield from iter_route_contexts(app.routes)


def path_of(route: Any) -> str:  # noqa: ANN401 - Starlette's and FastAPI's routes have no common type for this
    return str(route.path).partition("/static/")[0] + ("/static" if "/static/" in str(route.path) else "")


def every_dependency(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from every_dependency(each)


def rules_of(route: Any) -> list[Access]:  # noqa: ANN401 - as above
    dependant = getattr(route, "dependant", None)
    return [] if dependant is None else [call for call in every_dependency(dependant) if isinstance(call, Access)]


ROUTES: Final = [
    pytest.param(service, route, id=f"{service} {','.join(sorted(route.methods or ['GET']))} {path_of(route)}")
    for service, app in APPS.items()
    for route in routes(app)
]


def test_all_services_are_looked_at() -> None:
    assert set(APPS) == {"ingest", "scoring", "casework", "notify", "portal"}
    assert len(ROUTES) > 60


@pytest.mark.parametrize(("service", "route"), ROUTES)
def test_a_route_has_a_rule_or_a_reason(service: str, route: Any) -> None:  # noqa: ANN401 - as above
    reason = PUBLIC.get((service, path_of(route))) or PUBLIC.get(("*", path_of(route)))
    if reason is None:
        assert rules_of(route), "add `requires(...)` to its signature, or a reason to PUBLIC"
    else:
        assert not rules_of(route), "it has a rule: take it out of PUBLIC"


def test_every_reason_belongs_to_a_route_that_is_there() -> None:
    there = {(service, path_of(route)) for service, app in APPS.items() for route in routes(app)}
    there |= {("*", path) for _, path in there}
    assert PUBLIC.keys() <= there


@pytest.mark.parametrize(("service", "route"), ROUTES)
def test_a_json_body_is_read_strictly(service: str, route: Any) -> None:  # noqa: ANN401, ARG001 - as above
    body = getattr(route, "body_field", None)
    if body is not None and not isinstance(body.field_info, params.Form):
        original = getattr(route, "original_route", route)
        assert isinstance(original, APIRoute)
        assert isinstance(original, StrictRoute), "use libs.webapi.strict_json.Router"


@pytest.mark.parametrize("service", ["ingest", "scoring", "casework", "notify"])
def test_a_rule_names_a_scope_of_its_service_and_changes_need_more_than_reading(service: str) -> None:
    for route in routes(APPS[service]):
        for rule in rules_of(route):
            assert isinstance(rule, Rule)
            assert rule.scope.partition(":")[2] in {"read", "write"}
            assert rule.roles is None or rule.roles <= ROLES
            if route.methods & {"PUT", "PATCH", "DELETE"}:
                assert rule.scope.endswith(":write"), route.path
