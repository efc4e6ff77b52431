"""The registry of topics: which events each carries, by which key, how long, and who reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from libs.events.contracts import cases, customers, initiatives, messages, responses, scores, subscriptions

if TYPE_CHECKING:
    from libs.events.event import Contract


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic. `retention` None keeps the latest record of each key (compaction) for ever."""

    name: str
    key: str
    types: tuple[type[Contract], ...]
    partitions: int
    retention: timedelta | None
    consumers: tuple[str, ...]
    producer: str

    @property
    def compacted(self) -> bool:
        """Whether the topic keeps the latest record of each key instead of a span of time."""
        return self.retention is None

    def dead_letters(self, consumer: str) -> str:
        """The topic where `consumer` sets aside the records of this topic that it cannot handle."""
        return f"{self.name}.{consumer}.dlq"

    def replays(self, consumer: str) -> str:
        """The topic on which records that were set aside reach `consumer`, and nobody else, once more."""
        return f"{self.name}.{consumer}.replay"


DEAD_LETTER_RETENTION: Final = timedelta(days=90)
"""Of dead letters and of their replays."""
DECISIONS: Final = "dead-letters.decisions"
"""What became of dead letters: the latest record of each one's place, kept as long as the inbox remembers."""
INBOX_RETENTION: Final = timedelta(days=120)
"""Longer than any topic's retention: a replay of a whole topic meets a complete inbox."""

SURVEY_RESPONSES: Final = Topic(
    name="survey.responses",
    key="customer, else response",
    types=(
        responses.ResponseReceived,
        responses.ResponseRevised,
        responses.ResponseWithdrawn,
        responses.CustomerUnsubscribed,
    ),
    partitions=6,
    retention=timedelta(days=30),
    consumers=("scoring.responses", "notify.hooks"),
    producer="ingest",
)
SURVEY_SCORES: Final = Topic(
    name="survey.scores",
    key="customer, else response",
    types=(scores.ResponseScored, scores.ResponseRescored, scores.ResponseRetracted, scores.InvitationUnanswered),
    partitions=6,
    retention=timedelta(days=30),
    consumers=("casework.scores", "notify.hooks", "notify.scores", "portal.events"),
    producer="scoring",
)
CUSTOMERS: Final = Topic(
    name="customers",
    key="customer",
    types=(customers.CustomerProfileChanged, customers.CustomerErased),
    partitions=6,
    retention=None,
    consumers=(
        "ingest.customers",
        "casework.customers",
        "notify.callbacks",
        "notify.customers",
        "notify.hooks",
        "portal.customers",
    ),
    producer="scoring",
)
CASEWORK_CASES: Final = Topic(
    name="casework.cases",
    key="customer, else the opening response",
    types=(
        cases.CaseOpened,
        cases.CaseJoined,
        cases.CaseAssigned,
        cases.CaseContactChanged,
        cases.CaseContacted,
        cases.CaseCallbackAgreed,
        cases.CaseCallbackMoved,
        cases.CaseCallbackCancelled,
        cases.CaseCallbackKept,
        cases.CaseCallbackMissed,
        cases.CasePrioritized,
        cases.CaseEscalated,
        cases.CaseDeescalated,
        cases.CaseClockWarned,
        cases.CaseClockBreached,
        cases.CaseClockReminded,
        cases.CaseClockChanged,
        cases.CaseWaiting,
        cases.CaseResumed,
        cases.CaseCommented,
        cases.CaseResolved,
        cases.CaseReopened,
        cases.CaseClosed,
        cases.ThanksRequested,
        cases.CaseTaskOpened,
        cases.CaseTaskAssigned,
        cases.CaseTaskDone,
        cases.CaseTaskDeclined,
        cases.CaseTaskWarned,
        cases.CaseTaskBreached,
    ),
    partitions=6,
    retention=timedelta(days=30),
    consumers=("notify.callbacks", "notify.cases", "notify.hooks", "portal.events"),
    producer="casework",
)
CASEWORK_INITIATIVES: Final = Topic(
    name="casework.initiatives",
    key="initiative",
    types=(
        initiatives.InitiativeProposed,
        initiatives.InitiativeApproved,
        initiatives.InitiativeDeclined,
        initiatives.InitiativeStarted,
        initiatives.InitiativeShipped,
        initiatives.InitiativeCommunicated,
        initiatives.InitiativeClockWarned,
        initiatives.InitiativeClockBreached,
    ),
    partitions=3,
    retention=timedelta(days=30),
    consumers=("notify.hooks", "notify.initiatives", "portal.events"),
    producer="casework",
)
NOTIFY_MESSAGES: Final = Topic(
    name="notify.messages",
    key="customer or employee",
    types=(
        messages.MessageQueued,
        messages.MessageSent,
        messages.MessageFailed,
        messages.MessageSuppressed,
        messages.MessageHeld,
        messages.MessageBounced,
        messages.CustomerOptedOut,
        messages.CustomerOptedIn,
        messages.ConfirmationAnswered,
        messages.CampaignApproved,
        messages.CampaignStarted,
        messages.CampaignPaused,
        messages.CampaignResumed,
        messages.CampaignCancelled,
        messages.CampaignCompleted,
        subscriptions.SubscriptionDisabled,
    ),
    partitions=6,
    retention=timedelta(days=30),
    consumers=("casework.messages", "notify.hooks", "portal.events", "scoring.messages"),
    producer="notify",
)

TOPICS: Final = (SURVEY_RESPONSES, SURVEY_SCORES, CUSTOMERS, CASEWORK_CASES, CASEWORK_INITIATIVES, NOTIFY_MESSAGES)

CONTRACTS: Final[dict[str, type[Contract]]] = {contract.TYPE: contract for topic in TOPICS for contract in topic.types}
TOPIC_OF_TYPE: Final[dict[str, Topic]] = {contract.TYPE: topic for topic in TOPICS for contract in topic.types}
