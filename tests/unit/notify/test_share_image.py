"""The picture beside a link: the right size, in both languages, and whatever the headline is like it stays inside."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from services.notify.share_image import HEIGHT, WIDTH, Card, drawn

MARGIN = 60


def picture(card: Card) -> Image.Image:
    return Image.open(BytesIO(drawn(card))).convert("RGB")


@pytest.mark.parametrize(
    "headline",
    [
        "Второе окно в обед",
        "A second counter at noon",
        "Мы стали перезванивать сами, если не ответили за минуту, " * 5,
        "Обезличивание" * 20,
        "",
    ],
)
def test_a_headline_stays_within_its_margins(headline: str) -> None:
    said = picture(Card("Отклик", "Что мы изменили", headline, "3 марта"))
    assert said.size == (WIDTH, HEIGHT)
    silent = picture(Card("", "", "", ""))
    box = ImageChops.difference(said, silent).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert MARGIN <= left < right <= WIDTH - MARGIN
    assert MARGIN <= top < bottom <= HEIGHT - 40


def test_other_words_make_another_picture_and_the_same_words_the_same() -> None:
    one, other = Card("Отклик", "Что мы изменили", "Окно"), Card("Otklik", "What we changed", "A counter")
    assert drawn(one) == drawn(Card("Отклик", "Что мы изменили", "Окно"))
    assert drawn(one) != drawn(other)


ANY = st.characters(exclude_categories=["Cs"])


@settings(max_examples=15, deadline=None)
@given(st.text(ANY, max_size=150), st.text(ANY, max_size=60))
def test_any_words_can_be_drawn(headline: str, company: str) -> None:
    assert drawn(Card(company, "What we changed", headline)).startswith(b"\x89PNG")
