"""Who comes where in the portal: every page and every act, and the roles that may."""

from typing import Any, Final

import pytest
from fastapi.routing import iter_route_contexts

from services.portal.api.access import Needs
from services.portal.domain.people import RIGHTS, Right, Role
from services.reference import apps
from tests.unit.webapi.test_every_route_has_a_rule import PUBLIC, path_of, rules_of

LETTERS: Final = {
    "A": Role.AGENT,
    "M": Role.MANAGER,
    "X": Role.EXECUTIVE,
    "E": Role.EMPLOYEE,
    "O": Role.OPERATOR,
    "R": Role.ADMINISTRATOR,
}
EVERYBODY: Final = "AMXEOR"
CLOSES: Final = "AMXR"
LEADS: Final = "MXR"
DECIDES: Final = "XR"
RUNS: Final = "OR"
SETS_UP: Final = "MXOR"

TABLE: Final[dict[str, str]] = {
    "GET /": EVERYBODY,
    "GET /cases": CLOSES,
    "GET /cases.csv": CLOSES,
    "POST /cases/filters": CLOSES,
    "POST /cases/filters/{filter_id}": CLOSES,
    "POST /cases/bulk": LEADS,
    "GET /cases/{case_id}": CLOSES,
    "POST /cases/{case_id}/{action}": CLOSES,
    "POST /cases/{case_id}/attachments": CLOSES,
    "POST /cases/{case_id}/attachments/{attachment_id}": CLOSES,
    "GET /attachments/{attachment_id}": CLOSES,
    "GET /queues/{level}": LEADS,
    "GET /callbacks": CLOSES,
    "GET /tasks": CLOSES,
    "GET /tasks/{task_id}": CLOSES,
    "POST /tasks/{task_id}/{step}": CLOSES,
    "GET /mentions": CLOSES,
    "POST /mentions": CLOSES,
    "GET /guides": CLOSES,
    "GET /guides/new": LEADS,
    "POST /guides/new": LEADS,
    "GET /guides/{guide_id}": CLOSES,
    "GET /guides/{guide_id}/edit": LEADS,
    "POST /guides/{guide_id}/edit": LEADS,
    "GET /loop": EVERYBODY,
    "GET /loop/effort": EVERYBODY,
    "GET /digest": EVERYBODY,
    "GET /digest/preview": LEADS,
    "POST /digest/{what}": EVERYBODY,
    "GET /recognition": LEADS,
    "POST /recognition/{proposal_id}/{step}": LEADS,
    "GET /causes": CLOSES,
    "GET /initiatives": CLOSES,
    "GET /initiatives/new": LEADS,
    "POST /initiatives/new": LEADS,
    "GET /initiatives/{initiative_id}": CLOSES,
    "GET /initiatives/{initiative_id}/edit": LEADS,
    "POST /initiatives/{initiative_id}/edit": LEADS,
    "POST /initiatives/{initiative_id}/{step}": LEADS,
    "GET /campaigns": SETS_UP,
    "GET /campaigns/new": LEADS,
    "POST /campaigns/new": LEADS,
    "GET /campaigns/{campaign_id}": SETS_UP,
    "GET /campaigns/{campaign_id}/edit": LEADS,
    "POST /campaigns/{campaign_id}/edit": LEADS,
    "GET /campaigns/{campaign_id}/recipients": SETS_UP,
    "POST /campaigns/{campaign_id}/{step}": LEADS,
    "GET /messages": SETS_UP,
    "GET /messages/held": SETS_UP,
    "GET /messages/{message_id}": SETS_UP,
    "POST /messages/{message_id}": RUNS,
    "GET /message-rules": SETS_UP,
    "GET /message-rules/edit": DECIDES,
    "POST /message-rules/edit": DECIDES,
    "GET /suppressions": SETS_UP,
    "POST /suppressions": SETS_UP,
    "POST /suppressions/find": SETS_UP,
    "POST /suppressions/{suppression_id}/lift": SETS_UP,
    "GET /lists": LEADS,
    "POST /lists": LEADS,
    "GET /lists/{list_id}": LEADS,
    "POST /lists/{list_id}/file": LEADS,
    "POST /lists/{list_id}/{step}": LEADS,
    "GET /templates": SETS_UP,
    "GET /templates/{kind}": SETS_UP,
    "GET /templates/{kind}/{language}/new": LEADS,
    "POST /templates/{kind}/{language}/new": LEADS,
    "GET /templates/{kind}/{language}/{version}": SETS_UP,
    "POST /templates/{kind}/{language}/{version}": LEADS,
    "GET /templates/{kind}/{language}/{version}/edit": LEADS,
    "POST /templates/{kind}/{language}/{version}/edit": LEADS,
    "GET /templates/{kind}/{language}/{version}/samples/{sample}": SETS_UP,
    "GET /people": SETS_UP,
    "GET /people/new": LEADS,
    "POST /people/new": LEADS,
    "GET /people/{agent_id}": LEADS,
    "POST /people/{agent_id}": LEADS,
    "POST /people/{agent_id}/hand-over": LEADS,
    "GET /teams": SETS_UP,
    "GET /teams/{team_id}": LEADS,
    "POST /teams/{team_id}": LEADS,
    "GET /departments/{department_id}": LEADS,
    "POST /departments/{department_id}": LEADS,
    "GET /logins": "R",
    "GET /logins/{person_id}": "R",
    "POST /logins/{person_id}": "R",
    "GET /policies": SETS_UP,
    "GET /policies/{tier}": LEADS,
    "POST /policies/{tier}": LEADS,
    "GET /calendars": SETS_UP,
    "GET /calendars/new": LEADS,
    "POST /calendars/new": LEADS,
    "GET /calendars/{calendar_id}": LEADS,
    "POST /calendars/{calendar_id}": LEADS,
    "GET /root-causes": SETS_UP,
    "GET /root-causes/new": LEADS,
    "POST /root-causes/new": LEADS,
    "GET /root-causes/{cause_id}": LEADS,
    "POST /root-causes/{cause_id}": LEADS,
    "GET /contact-rules": SETS_UP,
    "POST /contact-rules": LEADS,
    "GET /light-cases": SETS_UP,
    "POST /light-cases": LEADS,
    "GET /recomputations": SETS_UP,
    "POST /recomputations": LEADS,
    "GET /recomputations/{recomputation_id}": SETS_UP,
    "GET /events": EVERYBODY,
    "GET /v1/events": EVERYBODY,
    "GET /nps": EVERYBODY,
    "GET /drivers": EVERYBODY,
    "POST /drivers": DECIDES,
    "GET /instruments": EVERYBODY,
    "POST /instruments/{instrument_id}/{version}": DECIDES,
    "GET /themes": EVERYBODY,
    "GET /themes/of/{theme}": EVERYBODY,
    "GET /themes/suggestions": LEADS,
    "POST /themes/suggestions/{suggestion_id}": LEADS,
    "GET /themes/taxonomy": LEADS,
    "GET /themes/taxonomy/{written}": LEADS,
    "POST /themes/taxonomy/{written}": LEADS,
    "GET /segments": LEADS,
    "POST /segments": DECIDES,
    "POST /segments/dry-runs/{dry_run_id}/cancel": DECIDES,
    "GET /customers": LEADS,
    "GET /customers/{customer_id:path}": LEADS,
    "GET /reach/{customer_id:path}": LEADS,
    "POST /reach/{customer_id:path}": LEADS,
    "GET /accounts": LEADS,
    "GET /accounts/{account_id:path}": LEADS,
    "GET /silences": LEADS,
}
OPERATED: Final = ("/dead-letters", "/providers", "/sources", "/deliveries", "/imports", "/subscriptions")
"""Below these everything is for those who run the system."""
ROUTES: Final = [
    (f"{method} {path_of(route)}", route)
    for route in iter_route_contexts(apps()["portal"].routes)
    if ("portal", path_of(route)) not in PUBLIC and ("*", path_of(route)) not in PUBLIC
    for method in sorted((route.methods or {"GET"}) - {"HEAD"})
]


def roles_of(route: Any) -> str:  # noqa: ANN401 - Starlette's and FastAPI's routes have no common type
    rights: list[Right | None] = [rule.right for rule in rules_of(route) if isinstance(rule, Needs)]
    return "".join(
        letter for letter, role in LETTERS.items() if all(right is None or right in RIGHTS[role] for right in rights)
    )


@pytest.mark.parametrize(("name", "route"), ROUTES, ids=[name for name, _ in ROUTES])
def test_a_page_is_for_the_roles_of_the_table_and_for_nobody_else(name: str, route: Any) -> None:  # noqa: ANN401
    path = name.partition(" ")[2]
    expected = RUNS if path.startswith(OPERATED) and name not in TABLE else TABLE[name]
    assert roles_of(route) == expected


def test_every_line_of_the_table_is_a_page() -> None:
    assert TABLE.keys() <= {name for name, _ in ROUTES}
