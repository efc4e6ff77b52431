"""What casework refuses, grouped by what the caller can do about it.

CaseworkError
├── InitiativeRefused        the initiative's status does not allow it
├── Refused                  the case's state does not allow it: read the case again, decide anew
│   ├── AlreadyClosed
│   ├── AlreadyResolved
│   ├── AlreadyOpen
│   ├── NotContacted
│   ├── AtHighestLevel
│   ├── AtLowestLevel
│   ├── AlreadyWaiting
│   ├── NotWaiting
│   ├── WaitTooLong
│   ├── TasksOpen
│   ├── TaskEnded
│   ├── CallbackAgreed
│   ├── CallbackTime
│   ├── NoCallback
│   ├── SlotTaken
│   ├── TooManyAttachments
│   └── CustomerHasOpenCase
└── NobodyToAssign           the company has not named a single agent: wait until it has
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.casework.domain.names import CaseId


class CaseworkError(Exception):
    """Base of all errors of this domain."""


class Refused(CaseworkError):
    """The command is not possible in the case's present state."""

    code: ClassVar[str]
    """Stable; the end of the problem's type over HTTP."""
    title: ClassVar[str]

    def __init__(self, case_id: CaseId) -> None:
        super().__init__(f"{self.title}: {case_id}")
        self.case_id = case_id


class AlreadyClosed(Refused):
    """The loop is closed; only a reopening starts it again."""

    code = "case-already-closed"
    title = "The case is closed"


class AlreadyResolved(Refused):
    """The customer is being asked whether it is solved."""

    code = "case-already-resolved"
    title = "The case is resolved and waits for the customer"


class AlreadyOpen(Refused):
    """Nothing to reopen."""

    code = "case-already-open"
    title = "The case is open"


class NotContacted(Refused):
    """Nobody has spoken with the customer in this round, so nobody can know that it is solved."""

    code = "case-not-contacted"
    title = "Nobody has reached the customer yet"


class AtHighestLevel(Refused):
    """There is nobody above the executives."""

    code = "case-at-highest-level"
    title = "The case is at the highest level already"


class AtLowestLevel(Refused):
    """On the frontline nobody is below."""

    code = "case-at-lowest-level"
    title = "The case is on the frontline"


class AlreadyWaiting(Refused):
    """It waits for the customer, until an instant that is stored."""

    code = "case-already-waiting"
    title = "The case waits for the customer already"


class NotWaiting(Refused):
    """Nothing to resume."""

    code = "case-not-waiting"
    title = "The case does not wait for the customer"


class WaitTooLong(Refused):
    """A case waits until an instant ahead, and in one round no longer than its policy allows."""

    code = "case-wait-too-long"
    title = "The case cannot wait until then"

    def __init__(self, case_id: CaseId, latest: datetime) -> None:
        super().__init__(case_id)
        self.latest = latest
        """Until when it could wait at the latest; in the past where nothing of the time is left."""


class CallbackAgreed(Refused):
    """A contact is agreed with the customer: keep it, move it or cancel it first."""

    code = "case-callback-agreed"
    title = "A callback is agreed with the customer"


class CallbackTime(Refused):
    """A callback is agreed for a time that lies ahead, and not beyond what anybody can promise."""

    code = "case-callback-time"
    title = "A callback cannot be agreed for then"

    def __init__(self, case_id: CaseId, latest: datetime) -> None:
        super().__init__(case_id)
        self.latest = latest
        """Until when one can be agreed at the latest."""


class NoCallback(Refused):
    """It was kept, missed or cancelled already."""

    code = "case-callback-settled"
    title = "The callback is no longer agreed"


class SlotTaken(Refused):
    """Somebody else is called then by now, or nobody can call."""

    code = "case-slot-taken"
    title = "The time is no longer free"


class TooManyAttachments(Refused):
    """It has as many files as a case may have."""

    code = "case-has-too-many-attachments"
    title = "The case has as many attachments as it may have"


class CustomerHasOpenCase(Refused):
    """A customer has one open case at a time; the work goes on there."""

    code = "customer-has-open-case"
    title = "The customer has another open case"


class TasksOpen(Refused):
    """Departments that were asked have not answered yet, so nobody can know that it is solved."""

    code = "case-has-open-tasks"
    title = "Departments have open tasks in this case"

    def __init__(self, case_id: CaseId, tasks: int) -> None:
        super().__init__(case_id)
        self.tasks = tasks


class TaskEnded(Refused):
    """It was done or declined; a further task is another one."""

    code = "task-already-ended"
    title = "The task has ended"

    def __init__(self, case_id: CaseId, task_id: UUID) -> None:
        super().__init__(case_id)
        self.task_id = task_id


class InitiativeRefused(CaseworkError):
    """The step is not possible in the initiative's present status."""

    def __init__(self, initiative_id: UUID, status: str) -> None:
        super().__init__(f"the initiative {initiative_id} is {status}")
        self.status = status


class NobodyToAssign(CaseworkError):
    """There is not one agent, manager or executive who could own a case."""
