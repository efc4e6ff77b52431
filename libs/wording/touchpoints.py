"""Words for the ids by which sources usually call touchpoints; others are shown as they are."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

TOUCHPOINTS: Final[Mapping[Literal["ru", "en"], Mapping[str, str]]] = MappingProxyType(
    {
        "ru": {
            "branch": "отделение",
            "office": "офис",
            "store": "магазин",
            "call_centre": "колл-центр",
            "call_center": "колл-центр",
            "app": "приложение",
            "website": "сайт",
            "web": "сайт",
            "chat": "чат",
            "email": "почта",
            "support": "поддержка",
            "delivery": "доставка",
            "invoice": "счёт",
            "claim": "страховой случай",
            "onboarding": "подключение",
            "checkout": "оформление заказа",
        },
        "en": {
            "branch": "branch",
            "office": "office",
            "store": "shop",
            "call_centre": "call centre",
            "call_center": "call centre",
            "app": "app",
            "website": "website",
            "web": "website",
            "chat": "chat",
            "email": "e-mail",
            "support": "support",
            "delivery": "delivery",
            "invoice": "invoice",
            "claim": "claim",
            "onboarding": "onboarding",
            "checkout": "checkout",
        },
    }
)


def touchpoint_said(id_: str, language: Literal["ru", "en"]) -> str:
    """What people call the touchpoint; an id that nobody has named, with blanks for its underscores."""
    return TOUCHPOINTS[language].get(id_, id_.replace("_", " "))
