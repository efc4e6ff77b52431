"""The portal over HTTP: pages for people, and the stream of events."""

from collections.abc import Iterator
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from libs.events.database import Database
from libs.webapi.app import create_app
from services.portal.accounts import Passwords
from services.portal.api import (
    accounts,
    attachments,
    calendars,
    callbacks,
    campaign_acts,
    campaign_forms,
    campaigns,
    case_lists,
    cases,
    cause_tree,
    causes,
    colleagues,
    contact_rules,
    customers,
    dead_letters,
    deliveries,
    digests,
    drivers,
    effort,
    events,
    field_maps,
    groups,
    guides,
    home,
    hook_forms,
    hook_log,
    hooks,
    imports,
    initiatives,
    instruments,
    letter_template_forms,
    letter_templates,
    light_cases,
    login,
    logins,
    loop,
    mentions,
    message_rules,
    messages,
    metrics,
    people,
    people_lists,
    policies,
    provider_trials,
    providers,
    reaching,
    recognition,
    recomputations,
    segments,
    source_setup,
    source_waiting,
    sources,
    suppressions,
    tasks,
    theme_settings,
    themes,
)
from services.portal.api.access import Door, LoginNeededError
from services.portal.api.refusals import problem_of
from services.portal.api.view import STATIC, Pages
from services.portal.broadcast import Broadcast
from services.portal.clients import Casework, ClientError, Ingest, Notify, Scoring
from services.portal.clients.dead_letters import DeadLetters
from services.portal.settings import Settings

BODY_LIMIT: Final = 65_536
_PASTED: Final = 1_048_576
"""A delivery that somebody pastes; in a form its letters are three to nine bytes each."""
_TOLD: Final = 524_288
"""What a campaign says, in both languages; in a form a letter is up to nine bytes."""
_PIECE: Final = 1_200_000
"""Of a file that is sent in pieces."""
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not "no-referrer": with it, browsers send `Origin: null` with our own forms, which could not be told from others.
    "Referrer-Policy": "same-origin",
}
TRANSPORT_SECURITY: Final = {"Strict-Transport-Security": "max-age=31536000"}


def create(
    settings: Settings,
    *,
    database: Database,
    casework: Casework,
    scoring: Scoring,
    ingest: Ingest,
    notify: Notify,
    letters: DeadLetters,
    broadcast: Broadcast,
    passwords: Passwords,
) -> FastAPI:
    """The app, over parts that `__main__` made."""
    pages = Pages(zone=settings.zone, clock=database.clock)
    door = Door(
        database,
        secret=settings.session_secret.get_secret_value(),
        rules=settings.session_rules,
        secure_cookies=settings.secure_cookies,
    )
    app: FastAPI = create_app(
        "Otklik portal",
        database,
        description="Pages for people, and `GET /v1/events`, the stream of events.",
        body_limit=BODY_LIMIT,
        body_limits={
            "/sources/": _PASTED,
            "/segments": _PASTED,
            "/light-cases": _PASTED,
            "/themes/": _PASTED,
            "/imports/": _PIECE,
            "/campaigns/": _TOLD,
            attachments.UPLOADS: attachments.UPLOAD_LIMIT,
            "/templates/": _PASTED,
            people_lists.UPLOADS: people_lists.UPLOAD_LIMIT,
            "/lists/": _PASTED,
        },
        headers=HEADERS | (TRANSPORT_SECURITY if settings.secure_cookies else {}),
        render=pages.problem,
    )
    app.state.door = door
    app.include_router(login.routes(database, pages, passwords, door))
    app.include_router(logins.routes(database, pages, casework, passwords, door, over_https=settings.secure_cookies))
    app.include_router(home.routes(database, pages, casework, scoring, letters))
    # Before `/cases/{case_id}/{action}`, as no case is called "filters".
    app.include_router(case_lists.routes(pages, casework))
    # Nor is an act on one called "attachments".
    for part in (attachments, cases, tasks, callbacks, mentions, loop, effort, cause_tree, causes):
        app.include_router(part.routes(pages, casework))
    for set_up in (initiatives, guides, colleagues, groups, light_cases):
        app.include_router(set_up.routes(pages, casework, scoring))
    for router in _telling(database, pages, notify, casework):
        app.include_router(router)
    app.include_router(people.routes(pages, casework))
    app.include_router(policies.routes(pages, casework))
    app.include_router(calendars.routes(pages, casework))
    app.include_router(contact_rules.routes(pages, casework))
    app.include_router(recomputations.routes(pages, casework))
    app.include_router(events.routes(database, pages, broadcast))
    app.include_router(dead_letters.routes(pages, letters))
    # Before `/sources/{source}`, as no source page is called "new".
    app.include_router(source_setup.routes(pages, ingest, public_url=settings.ingest_public_url))
    app.include_router(source_waiting.routes(pages, ingest, public_url=settings.ingest_public_url))
    app.include_router(field_maps.routes(pages, ingest))
    app.include_router(sources.routes(pages, ingest, public_url=settings.ingest_public_url))
    app.include_router(deliveries.routes(pages, ingest))
    app.include_router(imports.routes(pages, ingest))
    app.include_router(metrics.routes(pages, scoring))
    app.include_router(themes.routes(pages, scoring))
    app.include_router(theme_settings.routes(database, pages, scoring))
    app.include_router(drivers.routes(pages, scoring))
    app.include_router(instruments.routes(pages, scoring))
    app.include_router(segments.routes(database, pages, scoring))
    app.include_router(customers.routes(pages, scoring, casework))
    app.include_router(reaching.routes(database, pages, scoring, notify))
    app.include_router(accounts.routes(pages, scoring))
    app.mount(f"/static/{pages.static_version}", _Immutable(directory=STATIC), name="static")

    async def to_login(_request: Request, error: Exception) -> Response:
        return login.invitation(error.path if isinstance(error, LoginNeededError) else "/")

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ClientError)  # noqa: S101 - it is asked for no other
        return pages.problem(request, problem_of(error))

    app.add_exception_handler(LoginNeededError, to_login)
    app.add_exception_handler(ClientError, refused)
    return app


def _telling(database: Database, pages: Pages, notify: Notify, casework: Casework) -> Iterator[APIRouter]:
    """The pages on which people see to what is written to whom, and to the events that other systems get."""
    # Before `/campaigns/{campaign_id}`, as no campaign is called "new".
    yield campaign_forms.routes(pages, notify, casework)
    yield campaigns.routes(database, pages, notify)
    yield campaign_acts.routes(database, pages, notify)
    yield messages.routes(pages, notify)
    yield digests.routes(pages, notify, casework)
    yield recognition.routes(pages, casework)
    # Before `/templates/{kind}/{language}/{version}`, as no version is called "new".
    yield letter_template_forms.routes(pages, notify)
    yield letter_templates.routes(database, pages, notify)
    yield message_rules.routes(database, pages, notify)
    # Before `/providers/{name}`, as none can be made that is called "new".
    yield providers.routes(database, pages, notify)
    yield provider_trials.routes(pages, notify)
    yield suppressions.routes(database, pages, notify)
    yield people_lists.routes(pages, notify)
    # Before `/subscriptions/{subscription_id}`, as none is called "new"; and no step is called "deliveries".
    yield hook_forms.routes(pages, notify)
    yield hook_log.routes(pages, notify)
    yield hooks.routes(pages, notify)


class _Immutable(StaticFiles):
    """Files whose address changes with their content, so that nobody asks for them twice."""

    def file_response(self, *args: object, **options: object) -> Response:
        response = super().file_response(*args, **options)  # type: ignore[arg-type] # passed on as it came
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
