"""Named points at which a process kills itself with SIGKILL when the fault tests ask for it; absent otherwise.

A point strikes the first process that passes it while a file of its name lies in the folder that OTKLIK_CRASHPOINTS
names. The file is unlinked first: it strikes once, and one process, however many pass.

    <consumer>.after_consume        records in hand, nothing done       relay.before_produce  rows read
    <consumer>.before_commit        handler done, nothing committed     relay.after_ack       acknowledged, not deleted
    <consumer>.between_commits      database yes, offsets no            relay.after_delete    deletion committed
    <consumer>.after_offsets        offsets too

    ingest.after_verify             authentic, not yet waiting          notify.after_claim    ours, nothing sent
    ingest.batch_half_assembled     one waits while others are written  notify.after_accepted 250, not recorded
    ingest.after_commit             durable, not answered       notify.after_hook_accepted  2xx, not recorded

    scoring.tiers.before_commit     worth counted anew              notify.after_provider    it answered, not recorded
    scoring.counts.before_commit    changes folded                  notify.after_chat        likewise
    scoring.mentions.before_commit  likewise, of themes     notify.campaigns.before_commit   the next are told
    scoring.comments.before_commit  read anew; scoring.comments.after_commit: and kept
    scoring.dry_runs.before_commit  the next customers are looked at
    scoring.suggestions.before_commit   themes were looked for, and the search is not noted
    notify.digests.before_freeze    all is known, nothing kept      notify.digests.before_commit  a page in the ledger
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE: Final = "OTKLIK_CRASHPOINTS"


def _armed(folder: Path) -> Callable[[str], None]:
    def strike_if_asked(name: str) -> None:
        try:
            (folder / name).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return strike_if_asked


def _absent(_name: str) -> None:
    """Nobody asks."""


# Read here and not in a service's settings: it is no setting of a service. It must be decided when this is imported, so
# that an absent point costs one empty call, and no deployment can turn it on through a settings file.
_folder: Final = os.environ.get(VARIABLE)
crashpoint: Final[Callable[[str], None]] = _armed(Path(_folder)) if _folder else _absent
