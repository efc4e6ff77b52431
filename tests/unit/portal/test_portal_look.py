"""The tokens keep what they promise: text can be read in both schemes, and nothing is fetched from elsewhere."""

import re
from pathlib import Path

import pytest

PORTAL = Path(__file__).parents[3] / "services" / "portal"
TOKENS = (PORTAL / "static" / "tokens.css").read_text()
TEXT = 4.5
LARGE_OR_PART = 3.0
"""WCAG 2.2 AA: 1.4.3 for text, 1.4.11 for borders and marks that carry meaning."""

PAIRS = [
    ("ink", "paper", TEXT),
    ("ink", "card", TEXT),
    ("ink", "sunk", TEXT),
    ("ink-soft", "paper", TEXT),
    ("ink-soft", "card", TEXT),
    ("ink-soft", "sunk", TEXT),
    ("ink", "accent-soft", TEXT),
    ("ink-soft", "accent-soft", TEXT),
    ("accent", "paper", TEXT),
    ("accent", "card", TEXT),
    ("accent", "accent-soft", TEXT),
    ("on-accent", "accent", TEXT),
    ("alarm", "card", TEXT),
    ("alarm", "paper", TEXT),
    ("alarm", "alarm-soft", TEXT),
    ("alarm", "accent-soft", TEXT),
    ("ink-soft", "alarm-soft", TEXT),
    ("warn", "card", TEXT),
    ("warn", "paper", TEXT),
    ("warn", "warn-soft", TEXT),
    ("warn", "accent-soft", TEXT),
    ("ink-soft", "warn-soft", TEXT),
    ("good", "card", TEXT),
    ("good", "paper", TEXT),
    ("good", "good-soft", TEXT),
    ("on-detractors", "detractors", TEXT),
    ("on-passives", "passives", TEXT),
    ("on-promoters", "promoters", TEXT),
    ("on-rail", "rail", TEXT),
    ("on-rail-soft", "rail", TEXT),
    ("edge", "card", LARGE_OR_PART),
    ("edge", "paper", LARGE_OR_PART),
    ("focus", "card", LARGE_OR_PART),
    ("focus", "paper", LARGE_OR_PART),
    ("focus-on-rail", "rail", LARGE_OR_PART),
    ("detractors", "card", LARGE_OR_PART),
    ("promoters", "card", LARGE_OR_PART),
]


def tokens_of(scheme: str) -> dict[str, str]:
    light, dark = TOKENS.split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return found | (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else {})


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground", "least"), PAIRS)
def test_what_stands_on_a_ground_can_be_read(scheme: str, text: str, ground: str, least: float) -> None:
    tokens = tokens_of(scheme)
    assert contrast(tokens[text], tokens[ground]) >= least


def test_colours_are_named_in_the_tokens_only() -> None:
    page_style = (PORTAL / "static" / "portal.css").read_text()
    translucent = re.compile(r"#(?:ffffff|0b1a16)[0-9a-f]{0,2}\b")
    strangers = [colour for colour in re.findall(r"#[0-9a-f]{3,8}\b", page_style) if not translucent.fullmatch(colour)]
    assert strangers == []


def test_every_token_that_is_used_is_there() -> None:
    style = (PORTAL / "static" / "portal.css").read_text()
    known = set(re.findall(r"--([a-z-]+):", TOKENS))
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) - known == set()


@pytest.mark.parametrize(
    "path", [*PORTAL.glob("templates/*"), *PORTAL.glob("static/*")], ids=lambda path: str(path.name)
)
def test_no_page_takes_anything_from_elsewhere_or_breaks_its_own_policy(path: Path) -> None:
    content = path.read_text()
    addresses = set(re.findall(r"https?://[^\s\"')]+", content)) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    assert " style=" not in content
    assert not re.search(r"\son[a-z]+=", content)
    assert "<script>" not in content
    assert "<style" not in content
