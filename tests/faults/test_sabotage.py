"""The harness can fail: each of these builds is wrong in one place, and each must be caught by what it breaks."""

from pathlib import Path

import pytest

from faults.catalogue import select
from faults.run import catalogue, run_faults
from faults.sabotage import SABOTAGES, NotApplicable, Sabotage
from faults.servers import Servers
from faults.stage import Stage


@pytest.mark.kafka
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
async def test_a_sabotaged_build_is_caught(sabotage: Sabotage, fault_servers: Servers, build_folder: Path) -> None:
    tree = sabotage.build(build_folder / "tree")
    number = SABOTAGES.index(sabotage)
    stage = Stage(build_folder, fault_servers, services=sabotage.services, tree=tree, name=f"sabotaged_{number}")
    report = await run_faults(
        stage,
        select(catalogue(sabotage.services), sabotage.fault),
        seed=1,
        count=sabotage.attempts,
        recovery_s=sabotage.recovery_s,
        stop_when_broken=True,
    )
    assert sabotage.invariant in {broken.invariant for broken in report.broken}, report.as_json()


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotage_fits_the_code_exactly_once(sabotage: Sabotage, tmp_path: Path) -> None:
    built = sabotage.build(tmp_path)
    mistaken = [path for path in built.glob(sabotage.files) if sabotage.wrong in path.read_text(encoding="utf-8")]
    assert len(mistaken) == 1


def test_a_sabotage_that_does_not_fit_fails_loudly(tmp_path: Path) -> None:
    outdated = Sabotage(
        name="outdated",
        files="libs/events/*.py",
        right="what nobody ever wrote",
        wrong="",
        services=(),
        fault="",
        attempts=1,
        invariant=1,
    )
    with pytest.raises(NotApplicable, match="found 0 times"):
        outdated.build(tmp_path)
