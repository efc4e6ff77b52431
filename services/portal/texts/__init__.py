"""The words of the portal in Russian and English, and how each language writes counts, times and spans."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from babel.units import format_unit

from libs.wording.touchpoints import TOUCHPOINTS

if TYPE_CHECKING:
    from services.portal.domain.people import Language

LANGUAGES: Final[tuple[Language, ...]] = ("ru", "en")
SOON: Final = timedelta(hours=4)
_MINUS: Final = "\N{MINUS SIGN}"
_HALF_A_YEAR: Final = timedelta(days=182)
_DAY: Final = 24
_TWO_DAYS: Final = 48


def load_texts() -> dict[Language, dict[str, str]]:
    """Both languages' texts by dotted key; plural forms are the last part of the key."""
    return {language: _read(language) for language in LANGUAGES}


def _read(language: Language) -> dict[str, str]:
    """What every page uses is in `ru.toml`, what some add in files like `loop.ru.toml`; no key twice."""
    found: dict[str, str] = {}
    here = Path(__file__).parent
    for file in (here / f"{language}.toml", *sorted(here.glob(f"*.{language}.toml"))):
        texts = _flat(tomllib.loads(file.read_text(encoding="utf-8")))
        if twice := found.keys() & texts.keys():
            raise ValueError(f"{file.name} says again: {', '.join(sorted(twice))}")
        found |= texts
    # Mails say them too, so that they are nobody's alone.
    return found | {f"touchpoint_name.{id_}": said for id_, said in TOUCHPOINTS[language].items()}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline in words. `state` chooses how loud it looks."""

    state: Literal["overdue", "soon", "later"]
    relative: str
    absolute: str
    at: datetime


class Words:
    """One language's texts and formats, at one moment, in one time zone. Templates know it as `t`."""

    def __init__(self, language: Language, texts: dict[str, str], *, zone: ZoneInfo, now: datetime) -> None:
        self.language: Final = language
        self.now: Final = now
        self.zone: Final = zone
        self._texts = texts
        self._locale = Locale(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`, with `values` in its braces."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts

    def word(self, kind: str, code: object) -> str:
        """The word for a code (`word("status", "open")`); a code that nobody has named yet is shown as it is."""
        if code is None or code == "":
            return self._texts["unknown"]
        return self._texts.get(f"{kind}.{code}", str(code).replace("_", " "))

    def count(self, key: str, n: int) -> str:
        """The plural form of `key` for `n`, with {n} in it."""
        form = self._locale.plural_form(n)
        text = self._texts.get(f"{key}.{form}") or self._texts[f"{key}.other"]
        return text.format(n=self.number(n))

    def number(self, value: float, digits: int = 0) -> str:
        """A number, with the language's separators and a true minus sign."""
        pattern = "#,##0." + "0" * digits if digits else "#,##0"
        return format_decimal(_rounded(value, digits), pattern, locale=self._locale).replace("-", _MINUS)

    def size(self, size: int) -> str:
        """So many bytes, in the largest unit that still says enough; units are thousands, as file managers count."""
        for unit, factor in (("megabyte", 1_000_000), ("kilobyte", 1_000)):
            if size >= factor:
                digits = 0 if size >= 10 * factor or size % factor == 0 else 1
                return format_unit(_rounded(size / factor, digits), unit, length="short", locale=self._locale)
        return format_unit(size, "byte", length="short", locale=self._locale)

    def signed(self, value: float, digits: int = 0) -> str:
        """A number with its sign, as an NPS is written."""
        written = self.number(value, digits)
        return f"+{written}" if _rounded(value, digits) > 0 else written

    def moment(self, at: datetime) -> str:
        """Date and time, the year only where the day alone could be misread."""
        pattern = "d MMM, HH:mm" if abs(self.now - at) < _HALF_A_YEAR else "d MMM y, HH:mm"
        return format_datetime(at, pattern, tzinfo=self.zone, locale=self._locale)

    def there(self, at: datetime, zone: str | None) -> str:
        """What a clock in another zone shows then; empty where the zone is unknown or its clock shows the same."""
        try:
            other = ZoneInfo(zone or "")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ""
        if at.astimezone(other).utcoffset() == at.astimezone(self.zone).utcoffset():
            return ""
        return format_datetime(at, "EEE, HH:mm", tzinfo=other, locale=self._locale)

    def full_moment(self, at: datetime) -> str:
        """Date and time with everything, zone included; for tooltips."""
        return format_datetime(
            at.astimezone(self.zone), "d MMMM y, HH:mm:ss zzz", tzinfo=self.zone, locale=self._locale
        )

    def time(self, at: datetime) -> str:
        """Hours, minutes and seconds of today; of another day, the day too."""
        if at.astimezone(self.zone).date() != self.now.astimezone(self.zone).date():
            return self.moment(at)
        return format_time(at, "HH:mm:ss", tzinfo=self.zone, locale=self._locale)

    def day(self, at: datetime) -> str:
        """The day, in full."""
        return format_date(at.astimezone(self.zone).date(), "EEEE, d MMMM", locale=self._locale)

    def short_day(self, day: date) -> str:
        """The day, short; the year only where the day alone could be misread."""
        pattern = "d MMM" if abs(self.now.date() - day) < _HALF_A_YEAR else "d MMM y"
        return format_date(day, pattern, locale=self._locale)

    def month(self, day: date) -> str:
        """The month that a day is in."""
        return format_date(day, "LLL y", locale=self._locale)

    def span(self, length: timedelta) -> str:
        """How long, in the largest unit that still says enough: "5 h", "2 days"."""
        length = timedelta(minutes=max(round(abs(length) / timedelta(minutes=1)), 1))
        return format_timedelta(length, granularity="minute", format="short", threshold=2, locale=self._locale)

    def hours(self, hours: float) -> str:
        """So many hours; as days where they are whole ones and more than two."""
        if hours > _TWO_DAYS and hours % _DAY == 0:
            return format_unit(hours / _DAY, "day", length="short", locale=self._locale)
        return format_unit(
            _rounded(hours, 0 if hours == int(hours) else 1), "hour", length="short", locale=self._locale
        )

    def local(self, at: datetime) -> str:
        """For a field of a day and a time, in the company's zone."""
        return at.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")

    def ago(self, at: datetime) -> str:
        """How long ago, or in how long."""
        return format_timedelta(at - self.now, format="short", threshold=1.2, add_direction=True, locale=self._locale)

    def due(self, at: datetime) -> Due:
        """A deadline that still counts."""
        left = at - self.now
        if left <= timedelta():
            return Due("overdue", self("due.overdue", span=self.span(left)), self.moment(at), at)
        state: Literal["soon", "later"] = "soon" if left <= SOON else "later"
        return Due(state, self("due.left", span=self.span(left)), self.moment(at), at)

    def instant(self, written: str) -> datetime:
        """The instant that a timeline tells in its details."""
        return datetime.fromisoformat(written)

    def iso(self, at: datetime) -> str:
        """For the `datetime` attribute."""
        return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _rounded(value: float, digits: int) -> Decimal:
    """Half away from zero, as people round, and never a minus zero."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0
