"""The local stack's secrets: made once, kept in one file that only its owner can read."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_API_KEY_PREFIX: Final = "otk_"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSecrets:
    """What the parts of the stack need from one another in confidence."""

    postgres: str
    roles: dict[str, str]
    portal_session: str
    portal_casework_key: str
    portal_scoring_key: str
    portal_ingest_key: str
    portal_notify_key: str
    operators_ingest_key: str
    notify_link: str
    notify_casework_key: str
    notify_scoring_key: str


def load_or_make(path: Path, *, roles: Iterable[str]) -> StackSecrets:
    """Read the secrets; make those that are missing and write them down, all or nothing."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    passwords = known.get("roles", {})
    kept = StackSecrets(
        postgres=known.get("postgres") or secrets.token_urlsafe(24),
        roles={**passwords, **{role: secrets.token_urlsafe(24) for role in roles if role not in passwords}},
        portal_session=known.get("portal_session") or secrets.token_urlsafe(48),
        portal_casework_key=known.get("portal_casework_key") or _api_key(),
        portal_scoring_key=known.get("portal_scoring_key") or _api_key(),
        portal_ingest_key=known.get("portal_ingest_key") or _api_key(),
        portal_notify_key=known.get("portal_notify_key") or _api_key(),
        operators_ingest_key=known.get("operators_ingest_key") or _api_key(),
        notify_link=known.get("notify_link") or secrets.token_urlsafe(48),
        notify_casework_key=known.get("notify_casework_key") or _api_key(),
        notify_scoring_key=known.get("notify_scoring_key") or _api_key(),
    )
    if asdict(kept) != known:
        _write(path, json.dumps(asdict(kept), indent=2))
    return kept


def _api_key() -> str:
    return _API_KEY_PREFIX + secrets.token_urlsafe(32)


def _write(path: Path, content: str) -> None:
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with open(unfinished, "x", encoding="utf-8", opener=_only_for_me) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _only_for_me(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
