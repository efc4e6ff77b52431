"""How long a log-in lasts, how failed ones are slowed down, and where one may be sent afterwards."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class SessionRules:
    """A session ends when it was not used for `idle`, and in any case `absolute` after the log-in."""

    idle: timedelta = timedelta(hours=2)
    absolute: timedelta = timedelta(hours=12)
    noted_every: timedelta = timedelta(minutes=1)
    """The last use is written down only so often: reading pages must not cost a write each."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Failed log-ins: the first `free` cost nothing, then each doubles the wait, up to `longest`."""

    free: int
    first_wait: timedelta
    longest: timedelta
    forgotten_after: timedelta = timedelta(hours=1)

    def wait(self, failures: int, last_at: datetime, now: datetime) -> timedelta | None:
        """How long the next attempt has still to wait; None when it may be made now."""
        if failures < self.free or now - last_at >= self.forgotten_after:
            return None
        doublings = min(failures - self.free, 20)
        left = last_at + min(self.first_wait * 2**doublings, self.longest) - now
        return left if left > timedelta() else None


PER_LOGIN: Final = Throttle(free=5, first_wait=timedelta(seconds=15), longest=timedelta(minutes=15))
PER_ADDRESS: Final = Throttle(free=30, first_wait=timedelta(seconds=15), longest=timedelta(minutes=15))
"""Many people may share one address, so it is given more room than one log-in."""

_LONGEST_PATH: Final = 500


def safe_next(wanted: str | None) -> str:
    """The path to go to after the log-in: `wanted` if it stays within the portal, else the home page.

    Browsers take two slashes, a backslash or a control character at the start for another host: only a plain path
    passes.
    """
    if wanted is None or len(wanted) > _LONGEST_PATH or not wanted.startswith("/"):
        return "/"
    if wanted.startswith("//") or "\\" in wanted or any(unicodedata.category(sign)[0] == "C" for sign in wanted):
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc else wanted


def same_origin(origin: str | None, fetch_site: str | None, *, scheme: str, host: str) -> bool:
    """Whether a form was sent from one of our own pages, by what the browser says about its origin.

    Browsers have sent `Origin` with every POST since 2020; where it is missing, `Sec-Fetch-Site` must vouch. The
    scheme is compared only when we are asked over https: a proxy may speak plain http to us.
    """
    if origin is not None:
        parts = urlsplit(origin)
        return parts.netloc == host and (scheme != "https" or parts.scheme == "https")
    return fetch_site == "same-origin"
