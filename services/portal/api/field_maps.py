"""The editor of a source's field map: a delivery's places, what each is, a dry run, and only then the change."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, source_name_in, uuid_in
from services.portal.api.view import Pages
from services.portal.clients import Ingest, Refusal
from services.portal.clients.ingest import Delivery, DryRun, Source, Understood, Vendor, key_of, map_body
from services.portal.domain import sourceforms
from services.portal.domain.deliveries import value_seen_by, words_seen_by
from services.portal.domain.people import Right, Role

_NEWEST: Final = 20
_LONGEST_LABEL: Final = 70
_CHANGED: Final = 412


@dataclass(frozen=True, slots=True)
class Tried:
    """On what the map is tried: a kept delivery, or what was pasted; neither: nothing yet."""

    delivery_id: str = ""
    pasted: str = ""
    content_type: str = "application/json"

    def body(self) -> dict[str, object] | None:
        """As ingest takes it."""
        if self.pasted:
            return {"body": self.pasted, "content_type": self.content_type}
        return {"delivery_id": self.delivery_id} if self.delivery_id else None


@dataclass(frozen=True, slots=True)
class PlaceShown:
    """A place as the page shows it: a value that the reader must not see is hidden."""

    key: str
    place: str
    name: str
    title: str
    value: str

    @property
    def label(self) -> str:
        """In a list of choices."""
        asked = self.title if self.title and self.title != self.name else self.name
        short = asked if len(asked) <= _LONGEST_LABEL else asked[: _LONGEST_LABEL - 1] + "…"
        return f"{short} = {self.value[:40]}" if self.value else short


@dataclass(frozen=True, slots=True)
class Editor:
    """All that the page shows."""

    source: Source
    version: int
    vendor: Vendor
    newest: list[Delivery]
    tried: Tried
    chosen: dict[str, str]
    guessed: frozenset[str] = frozenset()
    run: DryRun | None = None
    ran: bool = False
    message: str = ""


def routes(pages: Pages, ingest: Ingest) -> APIRouter:
    """`/sources/{source}/map`."""
    router = APIRouter(include_in_schema=False)
    editor = FieldMapPages(pages, ingest)

    @router.get("/sources/{source}/map")
    async def edit(request: Request, source: str, visit: Annotated[Visit, needs(Right.SOURCES)]) -> Response:
        return await editor.open(request, visit, source_name_in(source))

    @router.post("/sources/{source}/map")
    async def act(
        request: Request,
        source: str,
        visit: Annotated[Visit, needs(Right.SOURCES)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await editor.act(request, visit, source_name_in(source), form)

    return router


class FieldMapPages:
    """Tries maps by ingest's dry run, which keeps and publishes nothing, and saves the one that is wanted."""

    def __init__(self, pages: Pages, ingest: Ingest) -> None:
        self._pages = pages
        self._ingest = ingest

    async def open(self, request: Request, visit: Visit, name: str) -> Response:
        """The source's map over a delivery: the one that was named, or the newest that waits in quarantine."""
        source, version, vendor, newest = await self._known(visit, name)
        asked = request.query_params.get("delivery", "")
        waiting = [each.id for each in newest if each.status == "quarantined"] + [each.id for each in newest]
        tried = Tried(delivery_id=uuid_in(asked) if asked else next(iter(waiting), ""))
        shown = await self._guess(visit, source, version, vendor, newest, tried)
        return self._page(request, visit, shown)

    async def act(self, request: Request, visit: Visit, name: str, form: Form) -> Response:
        """Look at another delivery, try what was chosen, or save it."""
        words = self._pages.words(request, visit.person)
        tried = _tried(form)
        chosen = {field: form.get(field) for field in sourceforms.FIELDS}
        mapped = sourceforms.chosen_places(chosen)
        source, version, vendor, newest = await self._known(visit, name)
        if form.get("do") == "look":
            shown = await self._guess(visit, source, version, vendor, newest, tried)
            return self._page(request, visit, shown)
        run = await self._run(visit, source, mapped, tried)
        if form.get("do") != "save":
            shown = Editor(source, version, vendor, newest, tried, chosen, run=run, ran=True)
            return self._page(request, visit, shown)
        written = form.get("version")
        if vendor.needs_score and "score" not in mapped:
            message = words("maps.score_missing")
            shown = Editor(source, version, vendor, newest, tried, chosen, run=run, message=message)
            return self._page(request, visit, shown, status=WRONG)
        try:
            await self._ingest.put_source(
                visit.person,
                name,
                source.body() | {"field_map": mapped},
                command_id=uuid_in(form.get("command_id")),
                version=int(written) if written.isdecimal() else 0,
            )
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            message = words("maps.changed" if refusal.status == _CHANGED else "sources.check")
            shown = Editor(source, version, vendor, newest, tried, chosen, run=run, message=message)
            return self._page(request, visit, shown, status=refusal.status)
        return RedirectResponse(f"/sources/{name}/replay?{urlencode({'done': 'map'})}", SEE_OTHER)

    async def _known(self, visit: Visit, name: str) -> tuple[Source, int, Vendor, list[Delivery]]:
        source, version = await self._ingest.source(visit.person, name)
        vendors = await self._ingest.vendors(visit.person)
        newest = await self._ingest.deliveries(visit.person, {"source": name}, limit=_NEWEST)
        return source, version, vendors[source.vendor], [each for each in newest.items if each.size]

    async def _run(
        self, visit: Visit, source: Source, mapped: dict[str, dict[str, str]], tried: Tried
    ) -> DryRun | None:
        on = tried.body()
        if on is None:
            return None
        return await self._ingest.dry_run(visit.person, source.body() | {"field_map": map_body(mapped)} | on)

    async def _guess(
        self, visit: Visit, source: Source, version: int, vendor: Vendor, newest: list[Delivery], tried: Tried
    ) -> Editor:
        """What the source's map says, and guesses where it says nothing and the vendor's shape does not either."""
        run = await self._run(visit, source, source.mapped, tried)
        chosen = {field: key_of(reference) for field, reference in source.mapped.items()}
        guessed: set[str] = set()
        for field, reference in (run.guessed if run else {}).items():
            if reference is not None and field not in chosen and _is_open(field, run, vendor):
                chosen[field] = key_of(reference)
                guessed.add(field)
        return Editor(source, version, vendor, newest, tried, chosen, frozenset(guessed), run)

    def _page(self, request: Request, visit: Visit, shown: Editor, *, status: int = 200) -> Response:
        role = visit.person.role
        # Who pasted something has seen it.
        reads_all = Role.ADMINISTRATOR if shown.tried.pasted else role
        places = [_shown(reads_all, place.reference, place.title, place.value) for place in _places(shown.run)]
        known = {place.key for place in places}
        kept = [
            _shown(reads_all, {place: name}, "", "")
            for place, _, name in (key.partition(":") for key in shown.chosen.values() if key and key not in known)
        ]
        understood = shown.run.response if shown.run else None
        return self._pages.page(
            request,
            visit,
            "field_map.html",
            status=status,
            shown=shown,
            fields=sourceforms.FIELDS,
            places=places,
            options=[*kept, *places],
            comment=words_seen_by(reads_all, understood.comment) if understood else None,
            told={} if understood is None else _told(reads_all, understood, shown.chosen),
            masked=any(place.value == "…" for place in places),
            command_id=uuid4(),
        )


def _places(run: DryRun | None) -> list[Any]:
    return run.places if run else []


def _shown(role: Role, reference: dict[str, str | None] | dict[str, str], title: str, value: str) -> PlaceShown:
    key = key_of(reference)
    place, _, name = key.partition(":")
    return PlaceShown(key, place, name, title, value_seen_by(role, name, value))


def _told(role: Role, understood: Understood, chosen: dict[str, str]) -> dict[str, str | None]:
    """The short fields, each seen as the place that was chosen for it: else words could be read as a touchpoint."""
    values = {
        "customer": understood.customer_id,
        "touchpoint": understood.touchpoint,
        "language": understood.language,
        "claimed_class": understood.claimed_class,
    }
    own_places = {"customer": "customer_id", "claimed_class": "nps_class"}
    return {
        field: value
        and value_seen_by(role, chosen.get(field, "").partition(":")[2] or own_places.get(field, field), value)
        for field, value in values.items()
    }


def _is_open(field: str, run: DryRun | None, vendor: Vendor) -> bool:
    """Whether a guess is worth offering: the vendor's own shape has no value for the field."""
    if run is None or run.response is None:
        return vendor.needs_score
    of_response = "customer_id" if field == "customer" else field
    return getattr(run.response, of_response) is None


def _tried(form: Form) -> Tried:
    pasted = form.get("pasted")
    content_type = form.get("content_type") or "application/json"
    if pasted:
        return Tried(pasted=pasted, content_type=content_type[:200])
    written = form.get("delivery")
    try:
        return Tried(delivery_id=str(UUID(written)) if written else "")
    except ValueError:
        return Tried()
