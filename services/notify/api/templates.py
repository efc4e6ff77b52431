"""`/v1/templates`: what messages say, in versions; drafts are checked and looked at before they are used."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.contracts.customers import Language
from libs.events.contracts.messages import MessageKind
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.auth import Principal, requires
from libs.webapi.etag import IfMatch, etag, expect
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Page
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.notify.letters import Letters
from services.notify.store import templates
from services.notify.store.templates import Version
from services.notify.templating import LONGEST_SOURCE, LONGEST_SUBJECT, Fault, Source
from services.notify.trials import Shown, try_out

router: Final = Router(prefix="/v1/templates", tags=["templates"])

Reader = Annotated[
    Principal, requires("messages:read", roles={"agent", "manager", "executive", "operator", "administrator"})
]
Writer = Annotated[Principal, requires("templates:write", roles={"manager", "executive", "administrator"})]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class Parts(BaseModel):
    """A template as it is written, in Jinja's syntax; which values there are is told by the shipped one."""

    model_config = ConfigDict(extra="forbid")

    subject: Annotated[str, Field(min_length=1, max_length=LONGEST_SUBJECT)]
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_SOURCE)]
    html: Annotated[str, Field(min_length=1, max_length=LONGEST_SOURCE, description="Extends `mail.html`.")]
    note: Annotated[str, Field(max_length=500, description="What is different in it, for colleagues.")] = ""

    @property
    def source(self) -> Source:
        """What is rendered."""
        return Source(subject=self.subject, text=self.text, html=self.html)


class TemplateVersion(BaseModel):
    """One version; what was published never changes."""

    kind: MessageKind
    language: Language
    version: int
    in_use: bool
    shipped: bool
    """Came with a release."""
    note: str
    author: str
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None
    published_by: str | None


class Template(TemplateVersion):
    """One version, with what it says."""

    subject: str
    text: str
    html: str


class Found(BaseModel):
    """Why a template cannot be used."""

    part: str
    code: str
    detail: str
    line: int | None


class Preview(BaseModel):
    """What people would get, for one sample of the kind."""

    language: Language
    sample: int
    subject: str
    text: str
    html: str


class Trial(BaseModel):
    """What came of trying a template; without faults it can be published."""

    faults: list[Found]
    previews: list[Preview]


@router.get("", summary="All templates, in all versions")
async def list_templates(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    kind: MessageKind | None = None,
    language: Language | None = None,
) -> Page[TemplateVersion]:
    """By kind and language, the newest version first."""
    async with database_of(request).reading() as tx:
        found = await templates.versions(tx, kind, language)
    return Page(items=[TemplateVersion(**_members(each)) for each in found], next_cursor=None)


@router.get("/{kind}/preview", summary="A kind in both languages, as people get it now")
async def preview(request: Request, principal: Reader, kind: MessageKind) -> list[Preview]:  # noqa: ARG001
    """Of the versions that are in use, for every sample of the kind."""
    shown: list[Preview] = []
    async with database_of(request).reading() as tx:
        found = [each for each in await templates.versions(tx, kind) if each.in_use]
    for each in found:
        shown += _previews(each.language, try_out(_letters(request), kind, each.language, each.source)[1])
    return shown


@router.get("/{kind}/{language}/{version}", summary="A version")
async def show(
    request: Request,
    response: Response,
    principal: Reader,  # noqa: ARG001 - the rule
    kind: MessageKind,
    language: Language,
    version: Number,
) -> Template:
    """What it says."""
    async with database_of(request).reading() as tx:
        found = await _one(tx, kind, language, version)
    response.headers["ETag"] = etag(found.revision)
    return _template(found)


@router.post("/{kind}/{language}/check", summary="Try a template that is kept nowhere")
async def check(request: Request, principal: Writer, kind: MessageKind, language: Language, parts: Parts) -> Trial:  # noqa: ARG001
    """Nothing changes."""
    return _trial(language, *try_out(_letters(request), kind, language, parts.source))


@router.post("/{kind}/{language}/{version}/check", summary="Try a version")
async def check_version(
    request: Request,
    principal: Reader,  # noqa: ARG001 - the rule
    kind: MessageKind,
    language: Language,
    version: Number,
) -> Trial:
    """With every sample of the kind. Nothing changes."""
    async with database_of(request).reading() as tx:
        found = await _one(tx, kind, language, version)
    return _trial(language, *try_out(_letters(request), kind, language, found.source))


@router.post(
    "/{kind}/{language}",
    status_code=201,
    responses={201: {"model": Template}},
    openapi_extra=REPEATABLE,
    summary="Make a draft",
)
async def draft(request: Request, principal: Writer, kind: MessageKind, language: Language, parts: Parts) -> Response:
    """It may still have faults; nobody gets it before it is published."""

    async def command(tx: Tx, _command_id: object) -> tuple[int, Any, dict[str, str]]:
        await templates.lock(tx)
        version = await templates.add(tx, kind, language, parts.source, author=principal.subject, note=parts.note)
        found = await _one(tx, kind, language, version)
        return 201, _template(found), {"ETag": etag(found.revision)}

    return await once(database_of(request), request, principal, command)


@router.put(
    "/{kind}/{language}/{version}",
    responses={200: {"model": Template}},
    openapi_extra=REPEATABLE,
    summary="Change a draft",
)
async def change(
    request: Request,
    principal: Writer,
    kind: MessageKind,
    language: Language,
    version: Number,
    parts: Parts,
    seen: IfMatch,
) -> Response:
    """What was published cannot be changed any more: make a new draft."""

    async def command(tx: Tx, _command_id: object) -> tuple[int, Any, dict[str, str]]:
        await templates.lock(tx)
        found = await _one(tx, kind, language, version)
        expect(found.revision, seen)
        if not await templates.change(tx, found, parts.source, author=principal.subject, note=parts.note):
            raise Problem(
                409,
                "template-published",
                "It was published",
                detail="What was published never changes: make a draft.",
            )
        found = await _one(tx, kind, language, version)
        return 200, _template(found), {"ETag": etag(found.revision)}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/{kind}/{language}/{version}/publish",
    responses={200: {"model": Template}},
    openapi_extra=REPEATABLE,
    summary="Use a version from now on",
)
async def publish(
    request: Request, principal: Writer, kind: MessageKind, language: Language, version: Number, seen: IfMatch
) -> Response:
    """Only without faults. An older version can be used again; mails under way keep theirs."""

    async def command(tx: Tx, _command_id: object) -> tuple[int, Any, dict[str, str]]:
        await templates.lock(tx)
        found = await _one(tx, kind, language, version)
        expect(found.revision, seen)
        faults, _ = try_out(_letters(request), kind, language, found.source)
        if faults:
            raise Problem(
                422,
                "template-faulty",
                "The template has faults",
                detail="Nothing was published.",
                errors=[{"pointer": f"/{each.part}", "detail": each.detail} for each in faults],
            )
        await templates.publish(tx, kind, language, version, by=principal.subject)
        found = await _one(tx, kind, language, version)
        return 200, _template(found), {"ETag": etag(found.revision)}

    return await once(database_of(request), request, principal, command)


def _letters(request: Request) -> Letters:
    letters: Letters = request.app.state.letters
    return letters


async def _one(tx: Tx, kind: MessageKind, language: Language, version: int) -> Version:
    found = await templates.versions(tx, kind, language, version)
    if not found:
        raise of_status(404, detail="No such version.")
    return found[0]


def _members(found: Version) -> dict[str, Any]:
    return {name: getattr(found, name) for name in TemplateVersion.model_fields}


def _template(found: Version) -> Template:
    source = found.source
    return Template(**_members(found), subject=source.subject, text=source.text, html=source.html)


def _trial(language: Language, faults: list[Fault], shown: list[Shown]) -> Trial:
    return Trial(
        faults=[Found(part=each.part, code=each.code, detail=each.detail, line=each.line) for each in faults],
        previews=_previews(language, shown),
    )


def _previews(language: Language, shown: list[Shown]) -> list[Preview]:
    return [
        Preview(
            language=language,
            sample=each.sample,
            subject=each.letter.subject,
            text=each.letter.text,
            html=each.letter.html,
        )
        for each in shown
    ]
