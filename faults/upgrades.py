"""An older build runs, and under load it becomes this one: the schemas first, then the processes one by one.

So the old code runs on the new schemas for a while, and old and new code beside each other. `--from` says which build.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import signal
import subprocess
import tarfile
from typing import TYPE_CHECKING, Final

from deploy.local.settings import ROOT
from faults.catalogue import Fault
from faults.sabotage import COPIED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from faults.catalogue import Strike
    from faults.trial import Trial

_OLD_ON_NEW_S: Final = 6.0
_PUT_OFF_S: Final = 600
"""So long older builds leave alone what an API did not have; how long, they have written down."""


def older_tree(folder: Path, revision: str) -> Path:
    """What services ran from at a revision of the repository; the copy's root."""
    command = (shutil.which("git") or "git", "archive", revision, *COPIED)
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603 - by whoever starts it
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


def upgrade_faults(services: Sequence[str], newer: Path) -> list[Fault]:
    """The one fault: everything becomes what stands in `newer`."""
    return [Fault("upgrade@services", _upgraded(services, newer), named=True)]


def _upgraded(services: Sequence[str], newer: Path) -> Strike:
    async def strike(trial: Trial, random: Random) -> str:
        trial.put_off_by(_PUT_OFF_S)
        older = trial.stage.tree
        trial.stage.tree = newer
        if older == newer:
            return "NOT REACHED: it is upgraded already"
        for service in services:
            await trial.stage.migrate(service)
        await asyncio.sleep(_OLD_ON_NEW_S)
        for service in random.sample(services, len(services)):
            process = trial.stage.services[service]
            await process.down(signal.SIGTERM)
            await process.start()
            await asyncio.sleep(random.uniform(0.5, 2.0))
        return "schemas under load, old code on them, then one service after another"

    return strike
