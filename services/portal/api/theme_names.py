"""What themes of comments are called, for forms in which they are ticked and pages that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.portal.clients import Refusal, Scoring, ServiceAwayError

if TYPE_CHECKING:
    from services.portal.api.access import Form
    from services.portal.domain.people import Language, Person


async def theme_names(scoring: Scoring, person: Person, language: Language) -> dict[str, str]:
    """Names by id, of themes that are in use; none while scoring is away: ids then stand for those that are chosen."""
    try:
        taxonomy = await scoring.themes.taxonomy(person)
    except (ServiceAwayError, Refusal):
        return {}
    return {each.id: each.names.get(language) or each.id for each in taxonomy.themes if not each.retired}


def ticked_themes(form: Form) -> str:
    """The ids of the themes that are ticked, with commas between, as forms keep them."""
    return ", ".join(part for part in (each.strip() for each in form.all("themes")) if part)
