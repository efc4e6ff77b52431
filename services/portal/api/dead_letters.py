"""The pages of dead letters, for those who run the system: the list, one with its reason and payload, and decisions."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.events.dead_letters import DeadLetter, NoSuchLetter, State
from libs.webapi.paging import decode_cursor, encode_cursor
from libs.webapi.problem import of_status
from services.portal.api.access import Form, Visit, needs, posted_form
from services.portal.api.refusals import NOT_FOUND, SEE_OTHER
from services.portal.api.view import Pages
from services.portal.clients import ServiceAwayError
from services.portal.clients.dead_letters import DeadLetters
from services.portal.domain.letters import payload_seen_by
from services.portal.domain.people import Right, Role

SHOWN: Final = 50
LONGEST_REASON: Final = 500
_ANY: Final = "any"
_LONGEST_CURSOR: Final = 8_192


class LetterAction(StrEnum):
    """What can be done with a letter."""

    REPLAY = "replay"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the list was asked to show; an empty queue means all of them."""

    queue: str
    state: str

    def query(self, **more: str) -> str:
        """As our own address carries it."""
        named = {"queue": self.queue, "state": self.state, **more}
        return urlencode({name: value for name, value in named.items() if value})


@dataclass(frozen=True, slots=True)
class Refused:
    """A decision that was not made: what was entered stays, with what is wrong."""

    action: LetterAction
    reason: str
    message: str


def routes(pages: Pages, letters: DeadLetters) -> APIRouter:
    """`/dead-letters` and below."""
    router = APIRouter(include_in_schema=False)
    reader = DeadLetterPages(pages, letters)

    @router.get("/dead-letters")
    async def list_letters(request: Request, visit: Annotated[Visit, needs(Right.DEAD_LETTERS)]) -> Response:
        return await reader.listed(request, visit)

    @router.get("/dead-letters/{letter_id}")
    async def one_letter(
        request: Request, letter_id: str, visit: Annotated[Visit, needs(Right.DEAD_LETTERS)]
    ) -> Response:
        return await reader.one(request, visit, letter_id)

    @router.post("/dead-letters/{letter_id}/{action}")
    async def decide(
        request: Request,
        letter_id: str,
        action: str,
        visit: Annotated[Visit, needs(Right.DEAD_LETTERS)],
        form: Annotated[Form, Depends(posted_form)],
    ) -> Response:
        if action not in set(LetterAction):
            raise of_status(NOT_FOUND)
        return await reader.decide(request, visit, letter_id, LetterAction(action), form)

    return router


class DeadLetterPages:
    """Reads letters, decides about them, and shows what came of it."""

    def __init__(self, pages: Pages, letters: DeadLetters) -> None:
        self._pages = pages
        self._letters = letters

    async def listed(self, request: Request, visit: Visit) -> Response:
        """The list, newest first."""
        asked = self._asked(request)
        cursor = request.query_params.get("cursor", "")[:_LONGEST_CURSOR]
        ends = decode_cursor(cursor, dict[str, int]) if cursor else None
        try:
            page = await self._letters.page(
                queue=asked.queue, state=None if asked.state == _ANY else State(asked.state), limit=SHOWN, ends=ends
            )
        except ServiceAwayError:
            return self._list_page(request, visit, asked, [], away="away.kafka")
        rest = None if page.rest is None else encode_cursor(page.rest)
        return self._list_page(request, visit, asked, page.letters, cursor=cursor, rest=rest)

    async def one(
        self, request: Request, visit: Visit, letter_id: str, *, refused: Refused | None = None, status: int = 200
    ) -> Response:
        """One letter with everything that its reader may see."""
        try:
            letter = await self._letters.one(letter_id)
        except ServiceAwayError:
            return self._list_page(request, visit, Asked("", State.OPEN), [], away="away.kafka")
        except NoSuchLetter as error:
            raise of_status(NOT_FOUND) from error
        return self._letter_page(request, visit, letter, refused=refused, status=status)

    async def decide(
        self, request: Request, visit: Visit, letter_id: str, action: LetterAction, form: Form
    ) -> Response:
        """Replay or drop it, in the person's name; back to the letter."""
        words = self._pages.words(request, visit.person)
        reason = form.get("reason").replace("\r\n", "\n")[:LONGEST_REASON]
        if action is LetterAction.DROP and not reason:
            refused = Refused(action, reason, words("letters.reason_missing"))
            return await self.one(request, visit, letter_id, refused=refused, status=422)
        try:
            match action:
                case LetterAction.REPLAY:
                    decided = await self._letters.replay(visit.person, letter_id, reason=reason)
                case LetterAction.DROP:
                    decided = await self._letters.drop(visit.person, letter_id, reason=reason)
        except ServiceAwayError:
            return self._list_page(request, visit, Asked("", State.OPEN), [], away="letters.unsure")
        except NoSuchLetter as error:
            raise of_status(NOT_FOUND) from error
        if not decided.made:
            why = words("letters.superseded" if action is LetterAction.REPLAY else "letters.decided_before")
            return await self.one(request, visit, letter_id, refused=Refused(action, reason, why), status=409)
        address = f"/dead-letters/{quote(str(decided.letter.id), safe='')}"
        return RedirectResponse(f"{address}?{urlencode({'done': action.value})}", SEE_OTHER)

    def _asked(self, request: Request) -> Asked:
        queue = request.query_params.get("queue", "")
        state = request.query_params.get("state", "")
        known = {each.name for each in self._letters.queues}
        return Asked(queue if queue in known else "", state if state in {*State, _ANY} else State.OPEN)

    def _list_page(
        self,
        request: Request,
        visit: Visit,
        asked: Asked,
        letters: list[DeadLetter],
        *,
        away: str | None = None,
        cursor: str = "",
        rest: str | None = None,
    ) -> Response:
        return self._pages.page(
            request,
            visit,
            "dead_letters.html",
            status=503 if away else 200,
            asked=asked,
            states=(*State, _ANY),
            queues=self._letters.queues,
            letters=letters,
            away=away,
            cursor=cursor,
            rest=rest,
        )

    def _letter_page(
        self, request: Request, visit: Visit, letter: DeadLetter, *, refused: Refused | None, status: int
    ) -> Response:
        role = visit.person.role
        done = request.query_params.get("done")
        return self._pages.page(
            request,
            visit,
            "dead_letter.html",
            status=status,
            letter=letter,
            payload=None if letter.value is None else payload_seen_by(role, letter.type, letter.value),
            sees_all=role is Role.ADMINISTRATOR,
            refused=refused,
            longest_reason=LONGEST_REASON,
            done=done if done in set(LetterAction) else None,
        )
