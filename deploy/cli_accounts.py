"""`otklik accounts add`: an account of the portal from the command line, such as the first administrator's."""

import asyncio
from typing import Annotated

import typer
from argon2 import PasswordHasher
from rich.console import Console

from deploy.cli_keys import database_url
from deploy.options import DataDir, settings_of
from deploy.troubles import CommandError
from libs.events.database import Database
from services.portal.accounts import MAX_PASSWORD, MIN_PASSWORD
from services.portal.domain.accountforms import person_of
from services.portal.domain.people import Person, Role
from services.portal.domain.policyforms import WrongEntryError
from services.portal.store import accounts

commands = typer.Typer(help="Accounts of the portal: the first one. The portal itself makes the others.")


@commands.callback()
def group() -> None:
    """Accounts of the portal: the first one. The portal itself makes the others."""


@commands.command()
def add(
    login: Annotated[str, typer.Argument(help="The name to log in by; also the person's id, once and for all.")],
    name: Annotated[str, typer.Option(help="What the person is called.")],
    email: Annotated[str, typer.Option(help="Their address.")],
    role: Annotated[Role, typer.Option(help="What they are in the company.")] = Role.ADMINISTRATOR,
    language: Annotated[str, typer.Option(help="ru or en")] = "en",
    data_dir: DataDir = None,
) -> None:
    """Make an account; the password is asked for, and comes from nowhere else."""
    entered = {"id": login, "login": login, "name": name, "email": email, "role": role, "language": language}
    try:
        person = person_of(entered)
    except WrongEntryError as error:
        raise CommandError(f"This cannot be so: {', '.join(sorted(error.fields))}") from error
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    asyncio.run(make(database_url(settings_of(data_dir), "portal"), person, password))
    Console().print(f"{person.name} can log in as {person.login}.", markup=False, highlight=False)


async def make(url: str, person: Person, password: str, hasher: PasswordHasher | None = None) -> None:
    """Make the account in the portal's database; a CommandError where it cannot be."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise CommandError(f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    password_hash = (hasher or PasswordHasher()).hash(password)
    database = Database.connect(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            refused = await accounts.add(tx, person, password_hash=password_hash)
    finally:
        await database.close()
    if refused is not None:
        raise CommandError(f"There is an account {person.login} already: change it in the portal")
