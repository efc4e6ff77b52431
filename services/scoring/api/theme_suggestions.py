"""`/v1/theme-suggestions`: what comments without a theme talk about, until a person says what it is."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.events.database import Tx
from libs.webapi.app import database_of
from libs.webapi.idempotency import REPEATABLE, once
from libs.webapi.problem import Problem, of_status
from libs.webapi.strict_json import Router
from services.scoring.api.access import SuggestionsReader, ThemesWriter
from services.scoring.api.themes import Names
from services.scoring.domain.comments.masking import excerpt
from services.scoring.domain.comments.taxonomy import MOST_PATTERNS, MOST_THEMES, Taxonomy, Theme, Told, with_pattern
from services.scoring.store import locks, theme_suggestions, themes
from services.scoring.store.theme_suggestions import Suggested
from services.scoring.store.themes import TaxonomyVersion

router: Final = Router(prefix="/v1/theme-suggestions", tags=["themes"])

_MOST_SHOWN: Final = 100

SuggestionId = Annotated[UUID, Path()]


class SuggestionBody(BaseModel):
    """A phrase that many use whose comments have no theme."""

    id: UUID
    language: Literal["ru", "en"]
    phrase: str
    comments: int = Field(description="How many different people use it, of the comments that were looked through.")
    likelihood: float = Field(description="How surprising beside the other comments: G² (Dunning 1993).")
    examples: list[str] = Field(description="The beginnings of comments; phones, cards and addresses are masked.")
    found_at: datetime


class Suggestions(BaseModel):
    """The most surprising first; what nobody decided about is found anew, or not, by the next search."""

    items: list[SuggestionBody]


class NewTheme(BaseModel):
    """A theme to be made of it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    names: Names


class Acceptance(BaseModel):
    """The theme that the phrase shall tell: one that there is, or a new one."""

    model_config = ConfigDict(extra="forbid")

    theme: Annotated[str, Field(max_length=64)] | NewTheme


class Decided(BaseModel):
    """What became of a suggestion."""

    id: UUID
    status: Literal["accepted", "dismissed"]
    theme: str | None = None
    themes_version: int | None = Field(None, description="Of the taxonomy that has it.")


@router.get("", summary="Phrases that could be themes")
async def get(request: Request, principal: SuggestionsReader) -> Suggestions:  # noqa: ARG001 - the rule
    """Looked for once a day, or when there are two hundred new comments without a theme."""
    async with database_of(request).reading() as tx:
        found = await theme_suggestions.undecided(tx, _MOST_SHOWN)
        said = await theme_suggestions.examples(tx, [id_ for each in found for id_ in each.examples])
    return Suggestions(
        items=[
            SuggestionBody(
                id=each.id,
                language=each.language,
                phrase=each.phrase,
                comments=each.comments,
                likelihood=round(each.likelihood, 2),
                examples=[excerpt(said[id_]) for id_ in each.examples if id_ in said],
                found_at=each.found_at,
            )
            for each in found
        ]
    )


@router.post(
    "/{suggestion_id}/accept",
    responses={200: {"model": Decided}},
    openapi_extra=REPEATABLE,
    summary="Make it a theme, or a pattern of one",
)
async def accept(request: Request, principal: ThemesWriter, suggestion_id: SuggestionId, body: Acceptance) -> Response:
    """The taxonomy gets another version; stored comments are read anew."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await locks.changing_themes(tx)
        suggested = await _undecided(tx, suggestion_id)
        in_force = await themes.current(tx)
        theme_id = body.theme if isinstance(body.theme, str) else body.theme.id
        wanted = _with(in_force.taxonomy, suggested, body.theme)
        version = in_force.version
        if wanted != in_force.taxonomy:
            version += 1
            await themes.add(tx, TaxonomyVersion(version, wanted, tx.now, principal.subject))
        await theme_suggestions.decide(
            tx, suggestion_id, status="accepted", theme=theme_id, decided_by=principal.subject
        )
        return 200, Decided(id=suggestion_id, status="accepted", theme=theme_id, themes_version=version), {}

    return await once(database_of(request), request, principal, command)


@router.post(
    "/{suggestion_id}/dismiss",
    responses={200: {"model": Decided}},
    openapi_extra=REPEATABLE,
    summary="It is no theme, and is not suggested again",
)
async def dismiss(request: Request, principal: ThemesWriter, suggestion_id: SuggestionId) -> Response:
    """For ever: whoever changes their mind adds the phrase to the taxonomy."""

    async def command(tx: Tx, command_id: UUID) -> tuple[int, Any, dict[str, str]]:  # noqa: ARG001 - nothing to announce
        await _undecided(tx, suggestion_id)
        await theme_suggestions.decide(tx, suggestion_id, status="dismissed", theme=None, decided_by=principal.subject)
        return 200, Decided(id=suggestion_id, status="dismissed", themes_version=None), {}

    return await once(database_of(request), request, principal, command)


async def _undecided(tx: Tx, suggestion_id: UUID) -> Suggested:
    found = await theme_suggestions.lock(tx, suggestion_id)
    if found is None:
        raise of_status(404, detail="No such suggestion.")
    suggested, status = found
    if status != "open":
        raise Problem(409, "already-decided", "Somebody has decided", detail=f"The suggestion is {status}.")
    return suggested


def _with(taxonomy: Taxonomy, suggested: Suggested, wanted: str | NewTheme) -> Taxonomy:
    """The taxonomy with the phrase as a pattern of that theme."""
    if isinstance(wanted, str):
        known = taxonomy.theme(wanted)
        if known is None or known.retired:
            raise Problem(422, "no-such-theme", "There is no such theme", detail=f"{wanted} is unknown or retired.")
        if len(known.told.patterns.get(suggested.language, ())) >= MOST_PATTERNS:
            raise Problem(409, "theme-full", "The theme has as many patterns as it may have")
    else:
        if taxonomy.theme(wanted.id) is not None:
            raise Problem(409, "theme-exists", "There is a theme with this id", detail="It may be retired.")
        if len(taxonomy.themes) >= MOST_THEMES:
            raise Problem(409, "taxonomy-full", "The taxonomy has as many themes as it may have")
        names = {"ru": wanted.names.ru, "en": wanted.names.en}
        new = Theme(id=wanted.id, names=names, told=Told())  # type: ignore[arg-type]  # these are the languages
        taxonomy = Taxonomy((*taxonomy.themes, new), taxonomy.urgent)
        wanted = wanted.id
    return with_pattern(taxonomy, wanted, suggested.language, suggested.phrase)
