"""Versions over HTTP: the `ETag` of a resource, and the conditions under which nobody overwrites unseen."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Depends, Header

from libs.webapi.problem import Problem, of_status

_SHAPE: Final = re.compile(r'"([0-9]{1,18})"')


def etag(version: int) -> str:
    """The strong entity tag of a version, quotes included."""
    return f'"{version}"'


def if_match(
    header: Annotated[str | None, Header(alias="If-Match", description="The `ETag` last seen, or `*`.")] = None,
) -> int | None:
    """The version that the caller has seen; None where they did not say, or do not mind (`*`).

    Works as a dependency (`IfMatch`) and on the header's value.
    """
    if header is None or header.strip() == "*":
        return None
    found = _SHAPE.fullmatch(header.strip())
    if found is None:
        # A tag that we never gave matches nothing (a weak one never does, RFC 9110 13.1.1).
        raise of_status(412, detail="If-Match does not hold an ETag of this resource.")
    return int(found[1])


def if_match_required(
    header: Annotated[str | None, Header(alias="If-Match", description="The `ETag` last seen, or `*`.")] = None,
) -> int | None:
    """As `if_match`, but the caller must say it: 428 otherwise."""
    if header is None:
        raise of_status(428, detail="Read the resource first and send its ETag as If-Match, or *.")
    return if_match(header)


def only_if_new(
    header: Annotated[
        str | None,
        Header(alias="If-None-Match", description="`*`: only where there is none yet.", pattern=r"^\s*\*\s*$"),
    ] = None,
    seen: Annotated[str | None, Header(alias="If-Match", include_in_schema=False)] = None,
) -> bool:
    """Whether the caller means to create, and nothing else (RFC 9110 13.1.2); `OnlyIfNew` as a dependency."""
    if header is not None and seen is not None:
        raise of_status(400, detail="If-None-Match: * wants nothing to be there, and If-Match wants something.")
    return header is not None


IfMatch = Annotated[int | None, Depends(if_match)]
OnlyIfNew = Annotated[bool, Depends(only_if_new)]
RequiredIfMatch = Annotated[int | None, Depends(if_match_required)]


def expect(current: int, expected: int | None) -> None:
    """Refuse (412) when the caller has seen another version than the current one."""
    if expected is not None and expected != current:
        raise changed(current)


def there_already(current: int) -> Problem:
    """The 412 of who meant to create what is there."""
    return Problem(
        412,
        "precondition-failed",
        "There is one already",
        detail="If-None-Match: * asked for a new one. Read what is there, and decide anew.",
        headers={"ETag": etag(current)},
    )


def changed(current: int) -> Problem:
    """The 412 that tells which version is current."""
    return Problem(
        412,
        "precondition-failed",
        "The resource has changed",
        detail="Somebody changed it since you read it. Read it again and decide anew.",
        headers={"ETag": etag(current)},
    )
