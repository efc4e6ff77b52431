"""What a digest tells, asked of those who know it: scoring for what customers said, casework for what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

import httpx
import msgspec

from libs.statistics.nps import Nps, nps
from libs.statistics.nps_groups import difference
from services.notify import digest_answers as answers
from services.notify.domain.digests import (
    THEMES,
    Colleague,
    Content,
    Deed,
    NpsMoved,
    Owed,
    Part,
    Quote,
    ScoreOnScale,
    Thanked,
    ThemeTold,
    chosen,
    part_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from services.notify.domain.digests import Period

_TIMEOUT: Final = httpx.Timeout(20.0, connect=3.0)
_COMMENTS: Final = 50
_COMMENT_PAGES: Final = 5
_PAGE: Final = 200
_MOST_DEEDS: Final = 20
"""Of initiatives in one mail; the portal has them all."""

AnswerT = TypeVar("AnswerT")


class ReportsAwayError(Exception):
    """Somebody who has to be asked cannot be reached, or has trouble of their own."""


class Reports:
    """Asks casework and scoring, with notify's keys to them."""

    def __init__(
        self,
        *,
        casework_url: str,
        casework_key: str,
        scoring_url: str,
        scoring_key: str,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        """`transports`: other ways to `casework` and `scoring` than over the network."""
        self._casework = _client(casework_url, casework_key, (transports or {}).get("casework"))
        self._scoring = _client(scoring_url, scoring_key, (transports or {}).get("scoring"))

    async def of(self, period: Period, where: tzinfo) -> tuple[Content, tuple[Quote, ...]]:
        """All that the digest of a period says, and what customers wrote, not yet masked. ReportsAwayError.

        All or nothing: whoever has no answer makes the whole digest wait.
        """
        since, until = period.bounds(where)
        asked = _between(since, until)
        deeds = await self._ask(self._casework, "/v1/measures/deeds", asked, answers.Deeds)
        loop = await self._ask(self._casework, "/v1/measures/loop", asked, answers.Loop)
        names = {each.id: each.name for each in deeds.departments}
        thanked = await self._ask(self._casework, "/v1/recognitions/told", asked, list[Thanked])
        content = Content(
            nps=await self._nps(period, where),
            scores=(*await self._scores("ces", asked), *await self._scores("csat", asked)),
            themes=await self._themes(asked),
            departments=tuple(deeds.departments),
            deeds=tuple(
                Deed(
                    title=each.title, department=names.get(each.department_id, ""), stage=each.stage, reason=each.reason
                )
                for each in deeds.initiatives[:_MOST_DEEDS]
            ),
            owed=tuple(
                Owed(
                    title=each.title,
                    department=names.get(each.department_id, ""),
                    owner=each.owner_name,
                    due_on=each.due_on,
                    communicate_by=each.communicate_by,
                    is_overdue=each.is_overdue,
                    is_quarter_over=each.is_quarter_over,
                )
                for each in deeds.owed[:_MOST_DEEDS]
            ),
            health=loop.groups[0] if loop.groups else None,
            shipped=loop.initiatives.shipped,
            told_within_a_quarter=loop.initiatives.communicated_within_a_quarter,
            parts=await self._parts(asked, names),
            thanked=tuple(thanked),
        )
        return content, await self._quotes(asked)

    async def people(self, position: str | None) -> tuple[list[Colleague], str | None]:
        """The next of those who work here, and the position after them, if there are more. ReportsAwayError."""
        asked: dict[str, str | int] = {"limit": _PAGE}
        if position is not None:
            asked["cursor"] = position
        page = await self._ask(self._casework, "/v1/measures/work", asked, answers.People)
        return [_colleague(each) for each in page.items], page.next_cursor

    async def close(self) -> None:
        """Close the clients."""
        await self._casework.aclose()
        await self._scoring.aclose()

    async def _nps(self, period: Period, where: tzinfo) -> tuple[NpsMoved, ...]:
        (since, until), (before, _) = period.bounds(where), period.before.bounds(where)
        path = "/v1/metrics/nps"
        now = await self._ask(self._scoring, path, _between(since, until), answers.NpsAnswer)
        earlier = await self._ask(self._scoring, path, _between(before, since), answers.NpsAnswer)
        otherwise = {each.kind for each in (*now.instrument_breaks, *earlier.instrument_breaks)}
        former = {each.kind: each for each in earlier.items}
        return tuple(_moved(each, former.get(each.kind), asked_otherwise=each.kind in otherwise) for each in now.items)

    async def _scores(self, metric: Literal["ces", "csat"], asked: Mapping[str, str | int]) -> list[ScoreOnScale]:
        found = await self._ask(self._scoring, f"/v1/metrics/{metric}", asked, answers.Scores)
        return [
            ScoreOnScale(
                metric=metric,
                survey=each.kind,
                scale_min=each.scale_min,
                scale_max=each.scale_max,
                n=each.n,
                mean=each.mean,
                low=each.ci_low,
                high=each.ci_high,
            )
            for each in found.items
            if each.n is not None and each.mean is not None
        ]

    async def _themes(self, asked: Mapping[str, str | int]) -> tuple[ThemeTold, ...]:
        found = await self._ask(self._scoring, "/v1/metrics/themes", asked, answers.Themes)
        told = [
            ThemeTold(
                name_ru=each.name_ru,
                name_en=each.name_en,
                survey=each.kind,
                mentions=each.mentions,
                n=each.n,
                nps=each.nps,
                low=each.ci_low,
                high=each.ci_high,
            )
            for each in found.items
            if each.mentions is not None
        ]
        return tuple(sorted(told, key=lambda each: -each.mentions)[:THEMES])

    async def _quotes(self, asked: Mapping[str, str | int]) -> tuple[Quote, ...]:
        # A page goes through so many comments, newer ones too: it may hold few, and go on all the same.
        found: list[answers.Comment] = []
        further = {**asked, "limit": _COMMENTS}
        for _ in range(_COMMENT_PAGES):
            page = await self._ask(self._scoring, "/v1/responses", further, answers.Comments)
            found += page.items
            if page.next_cursor is None or len(found) >= _COMMENTS:
                break
            further["cursor"] = page.next_cursor
        return chosen(
            Quote(
                customer_id=each.customer_id,
                score=each.score if each.metric == "nps" else None,
                touchpoint=each.touchpoint,
                said=each.comment,
            )
            for each in found
            if each.comment is not None and not each.erased
        )

    async def _parts(self, asked: Mapping[str, str | int], departments: Mapping[str, str]) -> tuple[Part, ...]:
        """The health of the loop in each team and department."""
        teams = await self._teams()
        found: list[Part] = []
        groupings: tuple[tuple[Literal["team", "department"], Mapping[str, str]], ...] = (
            ("team", teams),
            ("department", departments),
        )
        for by, names in groupings:
            raw = await self._get(self._casework, "/v1/measures/loop", {**asked, "by": by})
            healths = _decoded(raw, answers.Loop).groups
            groups = _decoded(raw, answers.Groups).groups
            of_group = {named.group: health for named, health in zip(groups, healths, strict=True)}
            found += [Part(id=part_id(by, id_), name=name, health=of_group.get(id_)) for id_, name in names.items()]
        return tuple(found)

    async def _teams(self) -> dict[str, str]:
        found: dict[str, str] = {}
        asked: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = await self._ask(self._casework, "/v1/teams", asked, answers.Teams)
            found |= {each.id: each.name for each in page.items}
            if page.next_cursor is None:
                return found
            asked["cursor"] = page.next_cursor

    async def _ask(
        self, client: httpx.AsyncClient, path: str, asked: Mapping[str, str | int], answer: type[AnswerT]
    ) -> AnswerT:
        return _decoded(await self._get(client, path, asked), answer)

    async def _get(self, client: httpx.AsyncClient, path: str, asked: Mapping[str, str | int]) -> bytes:
        try:
            response = await client.get(path, params=dict(asked))
        except httpx.HTTPError as error:
            raise ReportsAwayError(f"{path}: {type(error).__name__}") from error
        if not response.is_success:
            raise ReportsAwayError(f"{path}: answered {response.status_code}")
        return response.content


def _decoded(content: bytes, answer: type[AnswerT]) -> AnswerT:
    try:
        return msgspec.json.decode(content, type=answer)
    except msgspec.MsgspecError as error:
        raise ReportsAwayError(f"an answer that is not understood: {error}") from error


def _client(url: str, key: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=False)


def _between(since: datetime, until: datetime) -> dict[str, str | int]:
    return {"from": since.isoformat(), "to": until.isoformat()}


def _moved(now: answers.Nps, before: answers.Nps | None, *, asked_otherwise: bool) -> NpsMoved:
    moved = None
    if not asked_otherwise and now.n and before is not None and before.n:
        moved = difference(_counted(now), _counted(before))
    return NpsMoved(
        survey=now.kind,
        n=now.n,
        value=now.nps,
        low=now.ci_low,
        high=now.ci_high,
        before_n=None if before is None else before.n,
        change=None if moved is None else moved.value,
        change_low=None if moved is None else moved.low,
        change_high=None if moved is None else moved.high,
        asked_otherwise=asked_otherwise,
    )


def _counted(found: answers.Nps) -> Nps:
    return nps(promoters=found.promoters or 0, passives=found.passives or 0, detractors=found.detractors or 0)


def _colleague(person: answers.Person) -> Colleague:
    parts = (
        *(part_id("team", id_) for id_ in person.leads),
        *(part_id("department", id_) for id_ in person.manages),
    )
    return Colleague(
        id=person.id,
        name=person.name,
        email=person.email,
        language=person.language,
        role=person.role,
        parts=parts,
        cases=person.cases,
        cases_overdue=person.cases_overdue,
        tasks=person.tasks,
        tasks_overdue=person.tasks_overdue,
    )
