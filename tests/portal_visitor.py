"""Somebody at the portal, in its tests: a browser without scripts, and the password that all have."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

PASSWORD: Final = "correct horse battery"


class Visitor:
    """Asks for pages and sends their forms as a browser does."""

    def __init__(self, app: FastAPI, headers: Mapping[str, str]) -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("10.0.0.9", 1234)), base_url="http://portal", headers=headers
        )
        self.page = httpx.Response(200)

    async def get(self, path: str) -> httpx.Response:
        """Go to an address, redirects followed."""
        self.page = await self.http.get(path, follow_redirects=True)
        return self.page

    async def post(
        self, path: str, fields: Mapping[str, str], *, origin: str | None = "http://portal", follow: bool = True
    ) -> httpx.Response:
        """Send a form of the page that was last shown, with its hidden fields."""
        headers = {} if origin is None else {"Origin": origin}
        data = self._hidden() | dict(fields)
        self.page = await self.http.post(path, data=data, headers=headers, follow_redirects=follow)
        return self.page

    async def send(
        self, path: str, name: str, content: bytes, media_type: str = "application/octet-stream"
    ) -> httpx.Response:
        """Send a file by the form of the page that was last shown."""
        headers = {"Origin": "http://portal"}
        files = {"file": (name, content, media_type)}
        self.page = await self.http.post(path, data=self._hidden(), files=files, headers=headers, follow_redirects=True)
        return self.page

    def _hidden(self) -> dict[str, str]:
        found = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', self.page.text)
        return {name: html.unescape(value) for name, value in found}

    async def log_in(self, login: str, password: str = PASSWORD) -> Visitor:
        """Log in by the form."""
        await self.get("/login")
        await self.post("/login", {"login": login, "password": password})
        return self

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()


def text_of(page: httpx.Response) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))
