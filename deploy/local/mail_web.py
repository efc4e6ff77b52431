"""The mailbox in the browser: the list, one message, and the same as JSON; in Russian or English."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup, escape
from starlette.middleware.trustedhost import TrustedHostMiddleware

from deploy.local.mail_store import MailStore, StoredMessage

_PAGES: Final = Path(__file__).with_name("mail_pages")
_SHOWN: Final = 200
_LINK: Final = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_POLICY: Final = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'"
# A message may be anything: it is shown without scripts, forms, remote pictures or access to the page around it.
_MESSAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox"
)

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "mailbox": "Mailbox",
        "about": "Every mail that Otklik sends on this machine ends here; nothing leaves it.",
        "empty": "No mail yet.",
        "older": "Older messages are in the folder.",
        "from": "From",
        "to": "To",
        "date": "Received",
        "back": "All messages",
        "text": "Text",
        "html": "As designed",
        "raw": "Source",
        "no_subject": "(no subject)",
    },
    "ru": {
        "mailbox": "Почтовый ящик",
        "about": "Сюда приходят все письма, которые Отклик отправляет на этой машине; наружу не уходит ничего.",
        "empty": "Писем пока нет.",
        "older": "Более старые письма лежат в папке.",
        "from": "От кого",
        "to": "Кому",
        "date": "Получено",
        "back": "Все письма",
        "text": "Текст",
        "html": "Как оформлено",
        "raw": "Исходник",
        "no_subject": "(без темы)",
    },
}


def create_app(store: MailStore, *, hosts: list[str]) -> FastAPI:
    """Build the mailbox's pages over a store, served under these host names only."""
    app = FastAPI(title="Otklik mailbox", docs_url=None, redoc_url=None)
    # Without a log-in, a foreign page that points its own name at this address must not read the mail.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.mount("/static", StaticFiles(directory=_PAGES / "static"))
    pages = Environment(loader=FileSystemLoader(_PAGES), autoescape=select_autoescape())
    pages.filters["with_links"] = with_links

    def page(request: Request, template: str, **values: object) -> HTMLResponse:
        language = preferred_language(request.headers.get("accept-language", ""))
        html = pages.get_template(template).render(language=language, words=WORDS[language], **values)
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    def message_or_404(identity: str) -> StoredMessage:
        message = store.message(identity)
        if message is None:
            raise HTTPException(404)
        return message

    @app.get("/")
    def show_list(request: Request) -> HTMLResponse:
        ids = store.ids()
        messages = [message_or_404(identity) for identity in reversed(ids[-_SHOWN:])]
        newest = ids[-1] if ids else ""
        return page(request, "list.html", messages=messages, newest=newest, more=len(ids) > _SHOWN)

    @app.get("/messages/{identity}")
    def show_message(request: Request, identity: str) -> HTMLResponse:
        return page(request, "message.html", message=message_or_404(identity))

    @app.get("/messages/{identity}/html")
    def show_html(identity: str) -> HTMLResponse:
        message = message_or_404(identity)
        # Links inside the frame open in a tab of their own.
        html = f'<base target="_blank" rel="noopener">{message.html or ""}'
        return HTMLResponse(html, headers={"Content-Security-Policy": _MESSAGE_POLICY})

    @app.get("/messages/{identity}/raw")
    def show_raw(identity: str) -> Response:
        content = store.raw(identity)
        if content is None:
            raise HTTPException(404)
        return Response(content, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})

    @app.get("/api/messages")
    def messages_as_json(
        after: Annotated[str, Query(description="only messages after this id")] = "",
    ) -> list[dict[str, Any]]:
        return [as_json(message_or_404(identity)) for identity in store.ids(after=after)]

    return app


def as_json(message: StoredMessage) -> dict[str, Any]:
    """Write a message as the JSON interface shows it; `to` is whom the envelope named."""
    return {
        "id": message.id,
        "from": message.sender,
        "to": list(message.recipients),
        "subject": message.subject,
        "date": message.date,
        "message_id": message.message_id,
        "received_at": message.received_at.isoformat(),
        "text": message.text,
        "html": message.html,
    }


def with_links(text: str) -> Markup:
    """Escape a text and make its web addresses clickable."""
    pieces: list[Markup] = []
    position = 0
    for found in _LINK.finditer(text):
        pieces.append(escape(text[position : found.start()]))
        address = escape(found[0])
        pieces.append(Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(address))
        position = found.end()
    pieces.append(escape(text[position:]))
    return Markup("").join(pieces)


def preferred_language(accept_language: str) -> str:
    """Choose Russian where the reader names it before English."""
    for wish in accept_language.lower().split(","):
        tag = wish.split(";", 1)[0].strip().split("-", 1)[0]
        if tag in WORDS:
            return tag
    return "en"
