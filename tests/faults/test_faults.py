"""A short run over the whole real stack keeps every invariant: a few faults of each kind, then the whole ledger."""

from datetime import timedelta
from pathlib import Path

import pytest

from faults.catalogue import Fault, plan, select
from faults.run import catalogue, run_faults
from faults.servers import Servers
from faults.stage import Stage

FAULTS = (
    "crash@casework.scores.between_commits",
    "commit.cut_before@ingest",
    "vendor.429@ingest",
    "replay@survey.scores",
    "poison@casework.cases",
    "late-commit@ingest",
    "crash@notify.after_accepted",
    "crash@notify.digests.before_commit",
)


@pytest.mark.kafka
@pytest.mark.timeout(1800)
async def test_every_invariant_survives_a_few_faults_of_each_kind(fault_servers: Servers, build_folder: Path) -> None:
    report = await run_faults(
        Stage(build_folder, fault_servers, name="whole"),
        select(catalogue(), ",".join(FAULTS)),
        seed=4,
        count=len(FAULTS),
        per_second=15.0,
        recovery_s=300.0,
        climbs_after=timedelta(0),
    )
    assert [str(broken) for broken in report.broken] == []
    assert report.kept
    assert {row.fault for row in report.rows} == set(FAULTS)
    assert not [row.happened for row in report.rows if "NOT REACHED" in row.happened]
    assert report.sizes["mails"] > 0
    assert report.sizes["dead letters"] > 0
    assert report.sizes["rows of files"] > 0
    assert report.sizes["of them, lost by webhooks"] > 0
    assert report.sizes["withdrawn"] > 0
    assert report.sizes["campaigns"] > 0
    assert report.sizes["of them, cancelled"] > 0
    assert report.sizes["mails that came back"] > 0
    assert report.sizes["cases handed over"] > 0
    assert report.sizes["digests"] > 0
    assert report.sizes["web hooks received"] > 0
    assert report.sizes["of them, missed"] > 0


async def _nothing(*_: object) -> str:
    return ""


def test_a_plan_follows_from_its_seed_and_repeats_nothing_before_all_were_met() -> None:
    faults = [Fault(f"fault-{number}", _nothing, named=number % 2 == 0) for number in range(20)]
    names = [fault.name for _, fault, _ in plan(faults, 7, 40)]
    assert names == [fault.name for _, fault, _ in plan(faults, 7, 40)]
    assert names != [fault.name for _, fault, _ in plan(faults, 8, 40)]
    assert len(set(names[:20])) == len(set(names[20:])) == 20


def test_a_row_is_repeated_by_its_name_and_seed() -> None:
    faults = catalogue()
    rows = list(plan(faults, 7, 30))
    _, fault, seed = rows[17]
    assert [(each.name, its) for _, each, its in plan(select(faults, fault.name), seed, 1)] == [(fault.name, seed)]


def test_faults_have_names_of_their_own() -> None:
    names = [fault.name for fault in catalogue()]
    assert len(set(names)) == len(names)
