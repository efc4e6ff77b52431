"""The harness can fail: each of these builds is wrong in one place, and each must be caught by what it breaks."""

from pathlib import Path

import pytest

from faults.catalogue import select
from faults.run import catalogue, run_faults
from faults.sabotage import SABOTAGES, Mistake, NotApplicable, Sabotage
from faults.servers import Servers
from faults.stage import Stage
from faults.verdicts import Broken


@pytest.mark.kafka
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
async def test_a_sabotaged_build_is_caught(sabotage: Sabotage, fault_servers: Servers, build_folder: Path) -> None:
    tree = sabotage.build(build_folder / "tree")
    number = SABOTAGES.index(sabotage)
    stage = Stage(build_folder, fault_servers, services=sabotage.services, tree=tree, name=f"sabotaged_{number}")
    report = await run_faults(
        stage,
        select(catalogue(sabotage.services), sabotage.faults),
        seed=1,
        count=sabotage.attempts,
        recovery_s=sabotage.recovery_s,
        stop_when=lambda broken: not sabotage.missed(broken),
    )
    assert sabotage.missed(report.broken) == [], report.as_json()


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotage_fits_the_code_exactly_once(sabotage: Sabotage, tmp_path: Path) -> None:
    built = sabotage.build(tmp_path)
    for mistake in sabotage.mistakes:
        texts = [path.read_text(encoding="utf-8") for path in built.glob(mistake.files)]
        assert sum(mistake.wrong in text for text in texts) == 1, mistake.name


def test_a_sabotage_that_does_not_fit_fails_loudly(tmp_path: Path) -> None:
    outdated = Mistake(name="outdated", files="libs/events/*.py", right="what nobody ever wrote", wrong="", invariant=1)
    with pytest.raises(NotApplicable, match="found 0 times"):
        Sabotage(mistakes=(outdated,), services=(), faults="", attempts=1).build(tmp_path)


def test_a_mistake_is_caught_by_its_own_finding_alone() -> None:
    mistake = Mistake(name="", files="", right="", wrong="", invariant=4, finding="offsets that passed")
    assert mistake.shows_in([Broken(4, "offsets that passed what was not done", (), 1)])
    assert not mistake.shows_in([Broken(3, "offsets that passed what was not done", (), 1)])
    assert not mistake.shows_in([Broken(4, "not recovered within 25 s", (), 1)])
