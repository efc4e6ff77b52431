"""`/v1/themes`: what comments are about and by which words it is told; and what would be told if it were otherwise."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from libs.events.contracts.scores import UrgentSignal
from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.etag import IfMatch, changed, etag
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.paging import Cursor, Limit, Page, decode_cursor, encode_cursor
from libs.webapi.problem import Problem
from libs.webapi.strict_json import Router
from services.scoring.api.access import ThemesReader, ThemesWriter
from services.scoring.api.field_errors import field_errors
from services.scoring.domain.comments.masking import excerpt
from services.scoring.domain.comments.reading import Reader
from services.scoring.domain.comments.taxonomy import (
    LONGEST_NAME,
    MOST_PATTERNS,
    MOST_THEMES,
    InvalidTaxonomy,
    Taxonomy,
    as_document,
    differences,
    parse,
    succeeding,
)
from services.scoring.store import comments, locks, themes
from services.scoring.store.comments import Latest
from services.scoring.store.themes import TaxonomyVersion

router: Final = Router(prefix="/v1/themes", tags=["themes"])

_EXAMPLES: Final = 50
_AFTER_ALL: Final = 2**31 - 1
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)

Some = Annotated[list[str], Field(max_length=MOST_PATTERNS)]
_HOW: Final = "As docs/comments.md says: words in any form, `|` for either, `*` for any ending, `~` and `&` in phrases."


class Patterns(BaseModel):
    """Words and phrases of each language."""

    model_config = ConfigDict(extra="forbid")

    ru: Some = []
    en: Some = []


class Names(BaseModel):
    """What a theme is called."""

    model_config = ConfigDict(extra="forbid")

    ru: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    en: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class ThemeBody(BaseModel):
    """What comments can be about."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    names: Names
    patterns: Patterns = Field(Patterns(), description=_HOW)
    otherwise: Patterns = Field(Patterns(), description="They count only where no pattern of any theme is met.")
    unless: Patterns = Field(Patterns(), description="Right after these, a match counts for nothing.")
    retired: bool = Field(False, description="Given no longer, and still to be read where it was.")


class SignalBody(BaseModel):
    """What cannot wait."""

    model_config = ConfigDict(extra="forbid")

    id: UrgentSignal
    patterns: Patterns = Field(Patterns(), description=_HOW)
    unless: Patterns = Patterns()


class TaxonomyBody(BaseModel):
    """The whole taxonomy. A theme that it leaves out is not forgotten, but retired."""

    model_config = ConfigDict(extra="forbid")

    themes: Annotated[list[ThemeBody], Field(max_length=MOST_THEMES)]
    urgent: list[SignalBody] = []


class TaxonomyInForce(TaxonomyBody):
    """The taxonomy with its version."""

    version: int
    created_at: datetime
    created_by: str
    reading: bool = Field(description="Stored comments are being read by it still.")
    comments_read: int = Field(description="How many of those stored before it were read by it.")
    comments_to_read: int | None = Field(description="Of how many; null until the reading begins.")


class TaxonomyChanges(BaseModel):
    """A version, and what it says otherwise than the one before. Urgent signals are `urgent:<id>`."""

    version: int
    created_at: datetime
    created_by: str
    added: list[str]
    changed: list[str] = Field(description="Other names or other words.")
    retired: list[str]
    restored: list[str]


class ThemeChange(BaseModel):
    """How often a theme would be told among the comments looked at."""

    theme: str
    before: int
    after: int


class CommentChange(BaseModel):
    """A response of whose comment other things would be told."""

    response_id: str
    excerpt: str = Field(description="How the comment begins; phones, cards and addresses are masked.")
    before: list[str]
    after: list[str]


class DryRun(BaseModel):
    """What a taxonomy would tell of the latest comments: all changes counted, the first responses named."""

    comments: int
    changed: int
    themes: list[ThemeChange] = Field(description="With urgent signals, as `urgent:<id>`; those that change.")
    examples: list[CommentChange]


# Read by the domain and not by these models, because its errors are better; the models say what it reads.
_SCHEMA: Final = TaxonomyBody.model_json_schema(ref_template="#/components/schemas/{model}")
del _SCHEMA["$defs"]
Document = Annotated[dict[str, Any], Body(), WithJsonSchema(_SCHEMA)]


@router.get("", summary="The taxonomy of comments in force")
async def get(request: Request, response: Response, principal: ThemesReader) -> TaxonomyInForce:  # noqa: ARG001 - the rule
    """Its version as `ETag`."""
    async with database_of(request).reading() as tx:
        in_force = await themes.current(tx)
    response.headers["ETag"] = etag(in_force.version)
    return _body(in_force)


@router.get("/versions", summary="Who changed what in the taxonomy")
async def get_versions(
    request: Request,
    principal: ThemesReader,  # noqa: ARG001 - the rule
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TaxonomyChanges]:
    """The newest first. The first one, of the installation, changed nothing."""
    before = _AFTER_ALL if cursor is None else decode_cursor(cursor, int)
    async with database_of(request).reading() as tx:
        found = await themes.versions(tx, before=before, limit=limit + 1)
    items = [
        _changes(each, found[place + 1].taxonomy if place + 1 < len(found) else each.taxonomy)
        for place, each in enumerate(found[:limit])
    ]
    return Page(items=items, next_cursor=encode_cursor(items[-1].version) if len(found) > limit else None)


@router.put(
    "",
    responses={200: {"model": TaxonomyInForce | DryRun}},
    openapi_extra=REPEATABLE,
    summary="Put a taxonomy into force, or see what it would tell",
)
async def put(
    request: Request,
    principal: ThemesWriter,
    document: Document,
    seen: IfMatch,
    dry_run: Annotated[bool, Query(description="Change nothing; tell what would be told otherwise.")] = False,  # noqa: FBT002 - a query
    latest: Annotated[int, Query(ge=1, le=5000, description="How many comments a dry run looks at.")] = 1000,
) -> Response:
    """Stored comments are read anew within moments; nobody is told of what changes in them."""
    proposed = _parsed(document)
    database = database_of(request)
    if dry_run:
        async with database.reading() as tx:
            proposed = succeeding(proposed, (await themes.current(tx)).taxonomy)
            some = await comments.latest(tx, latest, since=_FIRST, before=tx.now)
        # Seconds of work for a thousand patterns and comments: other requests go on meanwhile.
        found = await asyncio.to_thread(_compared, proposed, some)
        return Response(found.model_dump_json(), media_type="application/json")

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await locks.changing_themes(tx)
        in_force = await themes.current(tx)
        if seen not in {None, in_force.version}:
            raise changed(in_force.version)
        wanted = succeeding(proposed, in_force.taxonomy)
        if wanted != in_force.taxonomy:
            in_force = TaxonomyVersion(in_force.version + 1, wanted, tx.now, principal.subject)
            await themes.add(tx, in_force)
        return 200, _body(in_force), {"ETag": etag(in_force.version)}

    return await once(database, request, principal, command)


def _parsed(document: object) -> Taxonomy:
    try:
        return parse(document)
    except InvalidTaxonomy as error:
        raise Problem(
            422,
            "invalid-themes",
            "The taxonomy is not valid",
            errors=field_errors(error.errors),
        ) from error


def _compared(proposed: Taxonomy, some: Sequence[Latest]) -> DryRun:
    reader = Reader(proposed)
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    examples: list[CommentChange] = []
    changes = 0
    for each in some:
        understood = reader.read(each.comment, "known")
        told = [*each.themes, *(f"urgent:{signal}" for signal in each.urgent)]
        kept = [theme for theme in each.themes if theme in proposed.retired]
        now_told = [*understood.themes, *kept, *(f"urgent:{signal}" for signal in understood.urgent)]
        before.update(told)
        after.update(now_told)
        if set(told) != set(now_told):
            changes += 1
            if len(examples) < _EXAMPLES:
                examples.append(
                    CommentChange(response_id=each.id, excerpt=excerpt(each.comment), before=told, after=now_told)
                )
    return DryRun(
        comments=len(some),
        changed=changes,
        themes=[
            ThemeChange(theme=theme, before=before[theme], after=after[theme])
            for theme in sorted(before.keys() | after.keys())
            if before[theme] != after[theme]
        ],
        examples=examples,
    )


def _body(in_force: TaxonomyVersion) -> TaxonomyInForce:
    return TaxonomyInForce(
        **as_document(in_force.taxonomy),
        version=in_force.version,
        created_at=in_force.created_at,
        created_by=in_force.created_by,
        reading=in_force.read_up_to is not None,
        comments_read=in_force.comments_read,
        comments_to_read=in_force.comments_to_read,
    )


def _changes(version: TaxonomyVersion, before: Taxonomy) -> TaxonomyChanges:
    found = differences(before, version.taxonomy)
    return TaxonomyChanges(
        version=version.version,
        created_at=version.created_at,
        created_by=version.created_by,
        added=list(found.added),
        changed=list(found.changed),
        retired=list(found.retired),
        restored=list(found.restored),
    )
