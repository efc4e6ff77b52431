"""The last chapter: what one customer said becomes a change with an owner, and those who asked for it are told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from deploy.demo.world import World

_ROOT_CAUSE: Final = "service.waiting"
TITLE: Final = "Электронная очередь и дежурный в каждом отделении"
_LEARNED: Final = "В отделениях ждут по сорок минут, и никто не говорит, сколько ещё осталось."
_CHANGED: Final = "В каждом отделении теперь есть электронная очередь и дежурный, который подходит сам."
_NEXT: Final = "К весне время ожидания будет видно заранее, в приложении."
_INITIATIVE: Final[dict[str, Any]] = {
    "title": TITLE,
    "problem": "Ключевой клиент прождал сорок минут. Похожее пишут и другие.",
    "root_causes": [_ROOT_CAUSE],
    "department_id": "retail",
    "owner_id": "olga",
}
_CONTENT: Final = {
    "ru": {
        "subject": "Вы ждали сорок минут. Вот что мы изменили",
        "about": "ожидание в отделении",
        "learned": _LEARNED,
        "changed": _CHANGED,
        "next_steps": _NEXT,
    },
    "en": {
        "subject": "You waited forty minutes. Here is what we changed",
        "about": "waiting in a branch",
        "learned": "People wait for forty minutes in our branches, and nobody tells them how much longer it will be.",
        "changed": "Every branch has numbered tickets now, and somebody on duty who comes to you.",
        "next_steps": "By spring the app will show beforehand how long you would wait.",
    },
}
_DUE: Final = timedelta(days=60)


async def tell_what_changed(world: World, say: Callable[[str], None], *, began: datetime) -> None:
    """Propose, decide, do and tell; two people have to agree to what customers are told."""
    proposed = await world.command("casework", "olga", "/v1/initiatives", _INITIATIVE, once="change-1")
    initiative = f"/v1/initiatives/{proposed['id']}"
    say(f"Ольга proposes: {TITLE}")
    due_on = (began + _DUE).date().isoformat()
    await world.command("casework", "pavel", f"{initiative}/approve", {"due_on": due_on}, once="change-2")
    await world.command("casework", "olga", f"{initiative}/start", {}, once="change-3")
    shipped = {"learned": _LEARNED, "changed": _CHANGED, "next_steps": _NEXT}
    await world.command("casework", "olga", f"{initiative}/ship", shipped, once="change-4")
    say("Павел approves; it is done, and in force")

    async def tellable() -> object | None:
        found = await world.get("notify", "/v1/tellable-initiatives")
        return next((each for each in found if each["initiative_id"] == proposed["id"]), None)

    await world.until("the change to be known where it is told", tellable)
    plan = {
        "name": "Электронная очередь",
        "initiative_ids": [proposed["id"]],
        "audience": {"customers": {"which": "raised", "root_causes": [_ROOT_CAUSE]}},
        "content": _CONTENT,
    }
    campaign = await world.command("notify", "olga", "/v1/campaigns", plan, once="campaign-1")
    path = f"/v1/campaigns/{campaign['id']}"
    await world.command("notify", "pavel", f"{path}/approve", {}, once="campaign-2")
    await world.command("notify", "olga", f"{path}/start", {}, once="campaign-3")

    async def told() -> dict[str, Any] | None:
        found: dict[str, Any] = await world.get("notify", path)
        return found if found["status"] == "completed" else None

    done = await world.until("everybody to be told", told)
    say(f"Ольга writes what is told, Павел agrees, {done['progress']['sent']} of {done['recipients']} got the mail")
    say(f"everybody can read it: {world.addresses.urls['notify']}/changes")
