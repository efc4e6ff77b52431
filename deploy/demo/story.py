"""The story: a few customers answer, and one unhappy answer after another goes round the loop.

It may be interrupted anywhere and told again: every delivery has the vendor's own id, every command an idempotency key,
and what the company sets up is put, not posted. What has already happened is found and not done again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from deploy.demo import company
from deploy.demo.change import tell_what_changed
from deploy.demo.deliveries import Delivery, delighted, formbricks, nonsense, typeform
from deploy.demo.world import World
from deploy.troubles import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from rich.console import Console

    from deploy.local.running import Addresses

_QUESTION: Final = "Насколько вероятно, что Вы порекомендуете нас друзьям и коллегам?"
_QUESTION_EN: Final = "How likely are you to recommend us to a friend or colleague?"
_ACCEPTED: Final = 202
_UNAUTHORIZED: Final = 401

_SOURCES: Final[dict[str, dict[str, Any]]] = {
    "branch": {
        "vendor": "typeform",
        "program": "branch-visits",
        "instrument": {
            "metric": "nps",
            "question": _QUESTION,
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "email",
        },
        "language": "ru",
        "field_map": {
            "score": {"question": "nps"},
            "comment": {"question": "why"},
            "customer": {"hidden": "customer_id"},
            "touchpoint": {"hidden": "touchpoint"},
        },
    },
    "call-centre": {
        "vendor": "delighted",
        "program": "calls",
        "instrument": {
            "metric": "nps",
            "question": _QUESTION_EN,
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "sms",
        },
        "field_map": {"customer": {"hidden": "customer_id"}, "touchpoint": {"hidden": "touchpoint"}},
    },
    "app": {
        "vendor": "formbricks",
        "program": "app",
        "touchpoint": "app",
        "instrument": {
            "metric": "nps",
            "question": _QUESTION_EN,
            "scale_min": 0,
            "scale_max": 10,
            "kind": "transactional",
            "channel": "in_app",
        },
        "field_map": {
            "score": {"question": "nps"},
            "comment": {"question": "why"},
            "customer": {"hidden": "userId"},
        },
    },
}


async def play(addresses: Addresses, console: Console) -> None:
    """Set up the demonstration company and tell the story; ends with where everything is."""
    async with World(addresses) as world:
        story = _Story(world, console)
        await story.set_up()
        await story.answers_come_in()
        await story.loops_are_closed()
        await story.something_changes()
        await story.tell_where_everything_is()


class _Story:
    def __init__(self, world: World, console: Console) -> None:
        self._world = world
        self._console = console
        self._chapter = 0
        self._began = datetime.max.replace(tzinfo=UTC)

    async def set_up(self) -> None:
        """The company, once; when it was first set up is when the story began."""
        self._tell("A bank sets itself up: people, surveys, customers, and what makes a customer a key one")
        world = self._world
        await asyncio.gather(world.create_people(), self._set_up_sources(), self._set_up_casework())
        await world.put("scoring", "/v1/segment-rules", company.SEGMENT_RULES)
        for account, body in company.ACCOUNTS.items():
            await world.put("scoring", f"/v1/accounts/{account}", body)
        for customer, body in company.CUSTOMERS.items():
            await world.put("scoring", f"/v1/customers/{customer}", body)
        self._say(f"{len(company.PEOPLE)} people, {len(_SOURCES)} surveys, {len(company.CUSTOMERS)} customers")

    async def answers_come_in(self) -> None:
        """Signed deliveries like those of the vendors, good and bad."""
        key_customer = self._key_customer()
        self._tell("Surveys come in, signed by their vendors")
        await self._deliver("Елена, key customer, after a visit to a branch: 2", key_customer)
        await self._deliver("Сергей, in the branch: 8", self._branch("c-1003", 8, "В целом неплохо", "branch", 25))
        await self._deliver("Laura, in the app: 10", self._app("c-1004", 10, "Easy and quick, thank you!", 20))
        await self._deliver(
            "Тимур, in the branch: 5", self._branch("c-1005", 5, "Дважды теряли документы", "branch", 15)
        )
        await self._deliver("John, after a call: 4, no comment yet", self._call(None))
        await self._deliver("John's comment, two minutes later", self._call("I was passed on three times."))
        self._tell("Not everything that comes in is good")
        await self._deliver("The first delivery again (vendors repeat themselves)", key_customer)
        await self._deliver("The same, forged: a 9 instead of the 2", key_customer.forged(), expected=_UNAUTHORIZED)
        secret = self._standard_secret()
        await self._deliver("Well signed, but it makes no sense", nonsense("app", secret, sent_at=datetime.now(UTC)))

    async def loops_are_closed(self) -> None:
        """One customer says yes, one says no, one is still to be called."""
        elena = await self._case_opened("c-1001")
        timur = await self._case_opened("c-1005")
        await self._case_opened("c-1002")
        await self._resolve_elena(elena)
        await self._resolve_timur(timur)
        nps = await self._world.get("scoring", "/v1/metrics/nps", kind="transactional")
        for item in nps["items"]:
            self._say(
                f"NPS {item['nps']:+.0f}, between {item['ci_low']:+.0f} and {item['ci_high']:+.0f}, n = {item['n']}"
            )

    async def something_changes(self) -> None:
        """What one customer said helps all of them."""
        self._tell("What customers say becomes a change, and they hear of it")
        await tell_what_changed(self._world, self._say, began=self._began)

    async def tell_where_everything_is(self) -> None:
        """Addresses, log-ins, and what to try next."""
        urls = self._world.addresses.urls
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        table.add_row("portal", f"{urls['portal']}   (password of all: {company.PASSWORD})")
        for person in company.PEOPLE:
            table.add_row("", f"{person.login:<7} {person.role:<14} {person.name}")
        if self._world.has_mailbox:
            table.add_row("mailbox", urls["mailbox"])
        table.add_row("what changed", f"{urls['notify']}/changes")
        table.add_row("next digest", f"{urls['portal']}/digest/preview   (for who leads: olga)")
        for service in ("ingest", "scoring", "casework", "notify"):
            table.add_row(service, f"{urls[service]}/docs")
        table.add_row("streams", "otklik tail --from-beginning")
        self._console.print()
        self._console.print(table)

    async def _set_up_sources(self) -> None:
        for name, source in _SOURCES.items():
            vendor_secret = self._standard_secret() if name == "app" else self._world.source_secret(name)
            stored = await self._world.put("ingest", f"/v1/sources/{name}", {**source, "secret": vendor_secret})
            # When the first of them was first set up: all later runs tell the same story, at the same times.
            self._began = min(self._began, datetime.fromisoformat(stored["created_at"]))

    async def _set_up_casework(self) -> None:
        world = self._world
        await world.put("casework", "/v1/departments/retail", company.DEPARTMENT)
        await world.put("casework", "/v1/teams/care", company.TEAM)
        for agent, body in company.AGENTS.items():
            await world.put("casework", f"/v1/agents/{agent}", body)
        await world.put("casework", "/v1/departments/retail", {**company.DEPARTMENT, "manager_id": "olga"})
        await world.put("casework", "/v1/teams/care", {**company.TEAM, "lead_id": "olga"})

    async def _case_opened(self, customer: str) -> dict[str, Any]:
        """Wait for the case with its owner's mail and say what happened."""
        name = company.CUSTOMERS[customer]["name"]
        case = await self._world.until(f"a case for {name}", lambda: self._world.case_of(customer))
        self._tell(f"A case for {name}")
        self._say(
            f"score {case['score']}, tier {case['tier']}, owner [b]{case['owner_name']}[/b], "
            f"first contact due {_local(case['first_contact_due_at'])}"
        )
        if self._world.has_mailbox:
            address = _address_of(case["owner_id"])
            await self._world.until(f"mail to {address}", lambda: self._mail(address))
            self._say(f"{case['owner_name']} got a mail about it")
        return case

    async def _mail(self, address: str) -> object | None:
        return (await self._world.mails_to(address)) or None

    async def _resolve_elena(self, case: Mapping[str, Any]) -> None:
        owner, case_id = case["owner_id"], case["id"]
        self._tell(f"{case['owner_name']} calls Елена")
        await self._act(owner, case_id, "contact-attempts", {"outcome": "no_answer"}, "elena-1")
        self._say("no answer; tries again")
        reached = {"outcome": "reached", "note": "Выслушала. Ждала в отделении сорок минут, никто не подошёл."}
        await self._act(owner, case_id, "contact-attempts", reached, "elena-2")
        self._say("reached: forty minutes of waiting, and nobody came")
        resolution = {"root_cause_id": "service.waiting", "note": "Извинились, назначили личного менеджера."}
        await self._act(owner, case_id, "resolve", resolution, "elena-3")
        self._say("resolved, root cause: long wait")
        await self._customer_answers("c-1001", solved=True, comment="Спасибо, всё решили.")
        await self._world.until("the case to be closed", lambda: self._in_state("c-1001", status="closed"))
        self._say("[green]the case is closed, confirmed by the customer[/green]")

    async def _resolve_timur(self, case: Mapping[str, Any]) -> None:
        owner, case_id = case["owner_id"], case["id"]
        self._tell(f"{case['owner_name']} calls Тимур")
        reached = {"outcome": "reached", "note": "Документы теряли дважды."}
        await self._act(owner, case_id, "contact-attempts", reached, "timur-1")
        await self._act(owner, case_id, "resolve", {"root_cause_id": "process.mistake"}, "timur-2")
        self._say("resolved, root cause: a mistake in documents")
        await self._customer_answers("c-1005", solved=False, comment="Документы так и не нашли.")
        await self._world.until("the case to climb", lambda: self._in_state("c-1005", level="management"))
        self._say("[yellow]reopened and escalated to management; the owner stays his contact[/yellow]")

    async def _customer_answers(self, customer: str, *, solved: bool, comment: str) -> None:
        who = company.CUSTOMERS[customer]
        if not self._world.has_mailbox:
            raise CommandError(
                f"The mail for {who['name']} went to {self._world.addresses.smtp_url}, where the story cannot read it. "
                "Unset OTKLIK_SMTP_URL to use the local mailbox."
            )
        link = await self._world.until(
            f"mail to {who['email']}", lambda: self._world.link_in_mail_to(str(who["email"]), 1)
        )
        self._say(f"{who['name']} gets a mail: is it really solved?")
        await self._world.answer(link, solved=solved, comment=comment)
        self._say(f"{who['name']} follows the link and says {'yes' if solved else 'no'}")

    async def _in_state(self, customer: str, **expected: str) -> dict[str, Any] | None:
        case = await self._world.case_of(customer)
        return case if case is not None and all(case[name] == value for name, value in expected.items()) else None

    async def _act(self, person: str, case_id: str, action: str, body: object, once: str) -> None:
        await self._world.act(person, case_id, action, body, once=once)

    async def _deliver(self, what: str, delivery: Delivery, *, expected: int = _ACCEPTED) -> None:
        answer = await self._world.deliver(delivery)
        self._say(f"{what} → {_verdict(answer)}")
        if answer.status_code != expected:
            raise CommandError(f"{what}: {answer.status_code} instead of {expected}: {answer.text}")

    def _key_customer(self) -> Delivery:
        comment = "Ждала сорок минут, и никто не подошёл. Подумываю сменить банк."
        return self._branch("c-1001", 2, comment, "branch", 30)

    def _branch(self, customer: str, score: int, comment: str, touchpoint: str, minutes_ago: int) -> Delivery:
        return typeform(
            "branch",
            self._world.source_secret("branch"),
            token=f"branch-{customer}",
            answered_at=self._at(minutes_ago),
            score=score,
            comment=comment,
            customer=customer,
            touchpoint=touchpoint,
        )

    def _call(self, comment: str | None) -> Delivery:
        return delighted(
            "call-centre",
            self._world.source_secret("call-centre"),
            response="call-c-1002",
            answered_at=self._at(10),
            updated_at=self._at(10 if comment is None else 8),
            score=4,
            comment=comment,
            customer="c-1002",
            touchpoint="call_centre",
        )

    def _app(self, customer: str, score: int, comment: str, minutes_ago: int) -> Delivery:
        return formbricks(
            "app",
            self._standard_secret(),
            response=f"app-{customer}",
            answered_at=self._at(minutes_ago),
            sent_at=datetime.now(UTC),
            score=score,
            comment=comment,
            customer=customer,
        )

    def _standard_secret(self) -> str:
        return "whsec_" + self._world.source_secret("app")

    def _at(self, minutes_ago: int) -> datetime:
        return (self._began - timedelta(minutes=minutes_ago)).replace(microsecond=0)

    def _tell(self, what: str) -> None:
        self._chapter += 1
        self._console.print(f"\n[bold cyan]{self._chapter}[/bold cyan]  [bold]{what}[/bold]")

    def _say(self, what: str) -> None:
        self._console.print(f"   {what}")


def _verdict(answer: httpx.Response) -> str:
    if answer.status_code == _ACCEPTED:
        status = answer.json()["status"]
        colour = {"accepted": "green", "duplicate": "blue", "quarantined": "yellow"}.get(status, "white")
        return f"[{colour}]{answer.status_code} {status}[/{colour}]"
    return f"[red]{answer.status_code}[/red]"


def _address_of(person_id: str) -> str:
    return next(person.email for person in company.PEOPLE if person.id == person_id)


def _local(time: str) -> str:
    return datetime.fromisoformat(time).astimezone().strftime("%d %b %H:%M")
