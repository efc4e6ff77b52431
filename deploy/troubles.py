"""Expected trouble in words that a person can act on."""

from asyncpg import PostgresError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from deploy.local.children import ChildError
from deploy.local.kafka_jars import KafkaUnavailableError
from deploy.local.preparation import PreparationError
from deploy.local.stack import StackError
from deploy.local.supervisor import PartFailedError
from libs.events.dead_letters import NoSuchLetter
from libs.events.errors import Unavailable


class CommandError(Exception):
    """A command cannot do what it was asked; the message says why and what to do."""


def understood(error: BaseException) -> str | None:
    """Say what is wrong; nothing for what nobody expected, which deserves its traceback."""
    match error:
        case (
            CommandError()
            | StackError()
            | PartFailedError()
            | ChildError()
            | PreparationError()
            | KafkaUnavailableError()
            | NoSuchLetter()
        ):
            return str(error)
        case Unavailable() | ConnectionError():
            return f"Not reachable: {error}. `otklik doctor` looks at everything."
        case ValidationError():
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            return f"A setting is not understood: {wrong}"
        case PostgresError() | DBAPIError():
            return f"The database says: {error}"
        case _:
            return None
