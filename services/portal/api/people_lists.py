"""Lists of employees and partners: made, filled from a file or by hand, and who is on them."""

import re
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER, WRONG, cursor_in, uuid_in
from services.portal.api.uploads import FIELDS_LIMIT, Upload, posted_file
from services.portal.api.view import Pages
from services.portal.clients import Notify, Refusal, ServiceAwayError
from services.portal.clients.campaigns import PeopleList
from services.portal.domain.forms import NOTHING, Draft
from services.portal.domain.people import Language, Person, Right
from services.portal.domain.people_lists import MOST_BYTES, SIDES, Read, decoded, read_members
from services.portal.texts import Words

UPLOADS: Final = "/lists/*/file$"
UPLOAD_LIMIT: Final = MOST_BYTES + FIELDS_LIMIT
_PAGE: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_DONE: Final = ("made", "renamed", "filled", "removed", "deleted")


def routes(pages: Pages, notify: Notify) -> APIRouter:
    """`/lists` and below."""
    router = APIRouter(include_in_schema=False)
    board = PeopleListPages(pages, notify)

    @router.get("/lists")
    async def listed(request: Request, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await board.listed(request, visit, NOTHING)

    @router.post("/lists")
    async def make(
        request: Request, visit: Annotated[Visit, needs(Right.LEAD)], form: Annotated[Form, Depends(posted_form)]
    ) -> Response:
        return await board.make(request, visit, form)

    @router.get("/lists/{list_id}")
    async def one(request: Request, list_id: str, visit: Annotated[Visit, needs(Right.LEAD)]) -> Response:
        return await board.one(request, visit, list_id, NOTHING)

    @router.post("/lists/{list_id}/file")
    async def upload(
        request: Request,
        list_id: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        sent: Annotated[Upload, Depends(posted_file)],
    ) -> Response:
        return await board.upload(request, visit, list_id, sent)

    @router.post("/lists/{list_id}/{step}")
    async def act(
        request: Request,
        list_id: str,
        step: str,
        visit: Annotated[Visit, needs(Right.LEAD)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        return await board.act(request, visit, list_id, step, form)

    return router


class PeopleListPages:
    """Reads lists from notify, and changes them there in the person's name."""

    def __init__(self, pages: Pages, notify: Notify) -> None:
        self._pages = pages
        self._notify = notify

    async def listed(self, request: Request, visit: Visit, draft: Draft, *, status: int = 200) -> Response:
        """All lists, by who is on them."""
        done = request.query_params.get("done", "")
        done = done if done in _DONE else ""
        try:
            lists = await self._notify.people_lists.all(visit.person)
        except (ServiceAwayError, Refusal):
            return self._pages.page(
                request, visit, "people_lists.html", status=503, lists=None, sides=SIDES, draft=draft, done=done
            )
        return self._pages.page(
            request, visit, "people_lists.html", status=status, lists=lists, sides=SIDES, draft=draft, done=done
        )

    async def make(self, request: Request, visit: Visit, form: Form) -> Response:
        """An empty one."""
        words = self._pages.words(request, visit.person)
        name, side = form.get("name")[:200], form.get("side")
        command_id = uuid_in(form.get("command_id"))
        if not name or side not in SIDES:
            wrong = {} if name else {"name": words("case.missing")}
            draft = Draft("new", {"name": name, "side": side}, {}, wrong, words("case.check"))
            return await self.listed(request, visit, draft, status=WRONG)
        # The command's id makes the list's: a form that is sent twice makes one list.
        id_ = f"list-{command_id}"
        try:
            await self._notify.people_lists.put(visit.person, id_, side, name, command_id=command_id)
        except Refusal as refusal:
            draft = Draft("new", {"name": name, "side": side}, {}, {}, words("list_refused.other"))
            return await self.listed(request, visit, draft, status=refusal.status)
        return _to(id_, "made")

    async def one(self, request: Request, visit: Visit, id_: str, draft: Draft, *, status: int = 200) -> Response:
        """One list with its people."""
        found = await self._found(visit.person, id_)
        page = await self._notify.people_lists.members(visit.person, id_, limit=_PAGE, cursor=cursor_in(request))
        done = request.query_params.get("done", "")
        return self._pages.page(
            request,
            visit,
            "people_list.html",
            status=status,
            found=found,
            page=page,
            draft=draft,
            done=done if done in _DONE else "",
        )

    async def act(self, request: Request, visit: Visit, id_: str, step: str, form: Form) -> Response:
        """Rename it, add people, take somebody off, or delete it."""
        words = self._pages.words(request, visit.person)
        found = await self._found(visit.person, id_)
        command_id = uuid_in(form.get("command_id"))
        if step == "members":
            written = form.get("people").replace("\r\n", "\n")
            return await self._fill(request, visit, id_, written, anew=False, command_id=command_id)
        lists, wrong = self._notify.people_lists, {}
        if step == "name" and not form.get("name"):
            wrong = {"name": words("case.missing")}
        if step == "delete" and form.get("sure") != "yes":
            wrong = {"sure": words("hooks.say_sure")}
        if wrong:
            return await self.one(request, visit, id_, Draft(step, {}, {}, wrong, words("case.check")), status=WRONG)
        try:
            match step:
                case "name":
                    name = form.get("name")[:200]
                    await lists.put(visit.person, id_, found.side, name, command_id=command_id)
                    return _to(id_, "renamed")
                case "remove":
                    await lists.remove(visit.person, id_, form.get("member"), command_id=command_id)
                    return _to(id_, "removed")
                case "delete":
                    await lists.delete(visit.person, id_, command_id=command_id)
                    return RedirectResponse("/lists?done=deleted", SEE_OTHER)
                case _:
                    raise of_status(NOT_FOUND)
        except Refusal as refusal:
            draft = Draft(step, {}, {}, {}, words("list_refused.other"))
            return await self.one(request, visit, id_, draft, status=refusal.status)

    async def upload(self, request: Request, visit: Visit, id_: str, sent: Upload) -> Response:
        """Everybody in a file, beside those that are there or instead of them."""
        words = self._pages.words(request, visit.person)
        await self._found(visit.person, id_)
        content = bytearray()
        async for piece in sent.pieces:
            content += piece
            if len(content) > MOST_BYTES:
                raise of_status(413)
        text = decoded(bytes(content)) if sent.name else None
        if not text or not text.strip():
            draft = Draft("file", {}, {}, {"file": words("lists.no_text")}, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        anew = sent.get("anew") == "yes"
        return await self._fill(
            request, visit, id_, text, anew=anew, command_id=uuid_in(sent.get("command_id")), form="file"
        )

    async def _fill(
        self,
        request: Request,
        visit: Visit,
        id_: str,
        written: str,
        *,
        anew: bool,
        command_id: str,
        form: str = "members",
    ) -> Response:
        words = self._pages.words(request, visit.person)
        usual: Language = words.language
        read = read_members(written, usual_language=usual)
        name = "people" if form == "members" else "file"
        shown = {"people": written} if form == "members" else {}
        if read.mistakes or not read.members:
            draft = Draft(form, shown, {}, {name: _mistakes(words, read)}, words("case.check"))
            return await self.one(request, visit, id_, draft, status=WRONG)
        try:
            await self._notify.people_lists.fill(visit.person, id_, read.members, anew=anew, command_id=command_id)
        except Refusal as refusal:
            places = [error.pointer.split("/") for error in refusal.errors]
            bad = [read.members[int(parts[2])]["email"] for parts in places if len(parts) > 2 and parts[2].isdecimal()]  # noqa: PLR2004
            said = words("lists.no_addresses", those=", ".join(bad[:5])) if bad else ""
            draft = Draft(form, shown, {}, {name: said} if said else {}, words("list_refused.other"))
            return await self.one(request, visit, id_, draft, status=refusal.status)
        return _to(id_, "filled")

    async def _found(self, person: Person, id_: str) -> PeopleList:
        if not _ID.fullmatch(id_):
            raise of_status(NOT_FOUND)
        lists = await self._notify.people_lists.all(person)
        found = next((each for each in lists if each.list_id == id_), None)
        if found is None:
            raise of_status(NOT_FOUND)
        return found


def _mistakes(words: Words, read: Read) -> str:
    if not read.mistakes:
        return words("lists.nobody")
    return " ".join(words("lists.on_line", line=line, said=words(f"list_wrong.{code}")) for line, code in read.mistakes)


def _to(id_: str, done: str) -> Response:
    return RedirectResponse(f"/lists/{id_}?{urlencode({'done': done})}", SEE_OTHER)
