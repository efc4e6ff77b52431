"""A campaign whose sender is killed, to a mail server that fails, slows and drops: everybody has the mail, once."""

from pathlib import Path

import pytest

from faults.drill import Drill
from faults.quicksink import QuickSink
from faults.servers import Servers
from faults.stage import Stage


@pytest.mark.kafka
@pytest.mark.timeout(1800)
async def test_everybody_has_the_mail_once_however_often_the_sender_is_killed(
    fault_servers: Servers, build_folder: Path
) -> None:
    stage = Stage(build_folder, fault_servers, services=("notify",), name="drilled", sink=QuickSink)
    said: list[str] = []
    outcome = await Drill(stage, mails=1_000, kills=2, seed=5, tell=said.append).run()
    assert [str(broken) for broken in outcome.broken] == []
    assert (outcome.kills, outcome.distinct) == (2, outcome.allowed)
    assert outcome.received == outcome.allowed
    assert outcome.doubtful_listed > 0
    assert [line.split()[0] for line in said[:2]] == ["kill", "kill"]
