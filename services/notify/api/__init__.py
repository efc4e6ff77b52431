"""The HTTP app of notify: the ledger for services and operators, the pages behind signed links for customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.webapi.app import create_app
from services.notify.api import (
    audiences,
    bookings,
    bounces,
    campaign_acts,
    campaign_messages,
    campaigns,
    changes,
    confirmations,
    contacts,
    digest_choices,
    digest_previews,
    digests,
    event_types,
    hook_deliveries,
    lists,
    messages,
    provider_answers,
    provider_trials,
    providers,
    reaching,
    subscription_acts,
    subscriptions,
    suppressions,
    templates,
    unsubscribing,
)
from services.notify.api.bookings import BookingPages
from services.notify.api.changes import ChangesPages
from services.notify.api.confirmations import ConfirmationPages
from services.notify.api.digest_choices import DigestChoicePages
from services.notify.api.frame import Frame
from services.notify.api.hook_access import HookRules
from services.notify.api.reports import ReportHooks
from services.notify.api.signed_pages import wrong_links
from services.notify.api.unsubscribing import UnsubscribePages
from services.notify.domain.addresses import Networks
from services.notify.door import LARGEST
from services.notify.letters import Letters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from libs.events.database import Database
    from libs.webapi.problem import Problem
    from services.notify.api.signed_pages import SignedPages
    from services.notify.casework import Casework
    from services.notify.digest_reports import Reports
    from services.notify.domain.report_formats import ProviderName
    from services.notify.links import ConfirmationLinks
    from services.notify.mime import Mailbox

__all__ = ["HookRules", "build_app"]

_FORM_BYTES: Final = 65_536
_PAGES: Final = (confirmations.PREFIX, bookings.PREFIX, unsubscribing.PREFIX, changes.PREFIX)
"""Under which people look, not programs; digests are refused below `/u/`, too."""


def build_app(
    database: Database,
    *,
    links: ConfirmationLinks,
    sender: Mailbox,
    time_zone: str,
    portal_url: str = "http://127.0.0.1:8000",
    hooks: HookRules | None = None,
    casework: Casework | None = None,
    report_keys: Mapping[ProviderName, str] | None = None,
    reports: Reports | None = None,
) -> FastAPI:
    """The app over `database`; `sender` is who writes to customers, and whom they may write to.

    `hooks` says where web hooks may go; without it, to public addresses by https. `casework` knows when customers can
    be called; without it the pages where they choose a time say that they have trouble. `report_keys`: by which the web
    hooks of mail providers are known. `reports` knows what the next digest would say; without it nobody is told.
    """
    frame = Frame(sender)

    def render(request: Request, problem: Problem) -> Response:
        is_page = request.url.path.startswith(_PAGES)
        return frame.trouble(request, problem) if is_page else problem.response()

    app = create_app(
        "Otklik notify",
        database,
        description="Messages to customers and employees: what was sent to whom, what was held back, and why.",
        body_limits=dict.fromkeys(_PAGES, _FORM_BYTES) | {"/v1/bounces/mail": LARGEST},
        render=render,
    )
    app.state.letters = Letters(sender=sender, links=links, portal_url=portal_url, time_zone=time_zone)
    app.state.reports = reports
    app.state.hook_rules = hooks or HookRules(Networks())
    for part in (audiences, campaigns, campaign_messages, campaign_acts):
        app.include_router(part.router)
    app.include_router(lists.router)
    app.include_router(digests.router)
    app.include_router(digest_previews.router)
    app.include_router(messages.router)
    app.include_router(templates.router)
    app.include_router(contacts.router)
    app.include_router(bounces.router)
    app.include_router(providers.router)
    app.include_router(provider_trials.router)
    app.include_router(provider_answers.router)
    app.include_router(reaching.router)
    app.include_router(bounces.mails)
    app.include_router(ReportHooks(database, report_keys or {}).router)
    app.include_router(suppressions.router)
    for part in (event_types, subscriptions, subscription_acts, hook_deliveries):
        app.include_router(part.router)
    app.webhooks.routes.extend(event_types.outgoing.routes)
    for pages in _pages(database, frame, links, casework, time_zone):
        app.include_router(pages.router)
    told = ChangesPages(database, address=links.changes, sender=sender, time_zone=time_zone)
    app.include_router(told.router)
    return app


def _pages(
    database: Database, frame: Frame, links: ConfirmationLinks, casework: Casework | None, time_zone: str
) -> Iterator[SignedPages]:
    """What stands behind the links in mails."""
    wrong = wrong_links()
    yield ConfirmationPages(frame, database, links=links, wrong=wrong, time_zone=time_zone)
    booking = Frame(frame.sender, sheets=bookings.SHEETS)
    yield BookingPages(booking, database, casework, links=links.bookings, wrong=wrong, time_zone=time_zone)
    yield UnsubscribePages(unsubscribing.PREFIX, frame, database, links=links.unsubscribe, wrong=wrong)
    yield DigestChoicePages(digest_choices.PREFIX, frame, database, links=links.digests, wrong=wrong)
