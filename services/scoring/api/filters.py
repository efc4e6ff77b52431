"""Which answers a number is about, as query parameters say it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from inspect import Parameter, Signature
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from pydantic import AwareDatetime, Field

from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.contracts.scores import Tier
from services.scoring.domain.customers import LONGEST_ID
from services.scoring.store.metrics import Grouping, Series

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)

Name = Annotated[str | None, Query(max_length=LONGEST_ID)]
Moment = Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]
Since = Annotated[Moment | None, Query(alias="from", description="Answered at this moment or later.")]
Until = Annotated[Moment | None, Query(alias="to", description="Answered before this moment.")]

DIMENSIONS: Final[tuple[Grouping, ...]] = ("program", "touchpoint", "segment", "department", "region", "channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What was asked for; None means any."""

    program: str | None = None
    touchpoint: str | None = None
    segment: Tier | None = None
    department: str | None = None
    region: str | None = None
    channel: Channel | None = None
    since: datetime | None = None
    until: datetime | None = None

    def series(self, metric: Metric, kind: SurveyKind | None) -> Series:
        """The answers to count."""
        return Series(
            metric=metric,
            kind=kind,
            program=self.program,
            touchpoint=self.touchpoint,
            segment=self.segment,
            department=self.department,
            region=self.region,
            channel=self.channel,
            since=self.since,
            until=self.until,
        )

    def overlaps(self, other: "Filter") -> bool:
        """Whether an answer could belong to both."""
        for dimension in DIMENSIONS:
            mine, theirs = getattr(self, dimension), getattr(other, dimension)
            if None not in {mine, theirs} and mine != theirs:
                return False
        return not (
            (self.until is not None and other.since is not None and self.until <= other.since)
            or (other.until is not None and self.since is not None and other.until <= self.since)
        )


def without(series: Series, dimension: Grouping) -> Series:
    """The same answers and those that differ in this dimension alone."""
    return replace(series, **{dimension: None})  # type: ignore[arg-type]  # one of those that may be None


def _asked(
    program: Name = None,
    touchpoint: Name = None,
    segment: Tier | None = None,
    department: Name = None,
    region: Name = None,
    channel: Channel | None = None,
    since: Since = None,
    until: Until = None,
) -> Filter:
    return Filter(
        program=program,
        touchpoint=touchpoint,
        segment=segment,
        department=department,
        region=region,
        channel=channel,
        since=since,
        until=until,
    )


def _prefixed(prefix: str) -> Callable[..., Filter]:
    """The same parameters under names of their own: one request asks for two groups of answers."""

    def asked(**given: Any) -> Filter:  # noqa: ANN401 - as the signature below says
        return Filter(**given)

    types: dict[str, tuple[str, Any]] = {
        "program": ("program", str),
        "touchpoint": ("touchpoint", str),
        "segment": ("segment", Tier),
        "department": ("department", str),
        "region": ("region", str),
        "channel": ("channel", Channel),
        "since": ("from", Moment),
        "until": ("to", Moment),
    }
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                type_ | None, Query(alias=f"{prefix}_{alias}", max_length=LONGEST_ID if type_ is str else None)
            ],
        )
        for name, (alias, type_) in types.items()
    ]
    asked.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # what FastAPI reads
    return asked


Asked = Annotated[Filter, Depends(_asked)]
AskedFirst = Annotated[Filter, Depends(_prefixed("a"))]
AskedSecond = Annotated[Filter, Depends(_prefixed("b"))]
