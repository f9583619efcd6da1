"""What the proof finds. Each test changes one thing of a run in which everything is right."""

import hashlib
from dataclasses import replace

import pytest

from deploy.sandbox.crowd import CrowdCount, Scan
from deploy.sandbox.proof import ChainHead, GateReading, HubReading, PlatformReading, PlatformRow, latency, prove

DEVICE, EPOCH = "aa" * 8, "bb" * 8
TOTALS = {
    "rows": 3,
    "distinct": 3,
    "again": 0,
    "batches": 1,
    "gaps": 0,
    "chain_breaks": 0,
    "bad_signatures": 0,
    "forks": 0,
    "malformed": 0,
    "unknown_devices": 0,
}


def rows_of(count):
    rows, prev = [], "00" * 32
    for seq in range(1, count + 1):
        own = hashlib.sha256(str(seq).encode()).hexdigest()
        rows.append(PlatformRow(seq=seq, prev=prev, hash=own, colour="green", verdict="admit", reason="ok"))
        prev = own
    return rows


def scans_of(rows):
    return [
        Scan(
            seq=row.seq,
            colour=row.colour,
            verdict=row.verdict,
            reason=row.reason,
            frame_to_light_ms=float(row.seq),
            spool=0,
        )
        for row in rows
    ]


class Run:
    """Everything that `prove` looks at, ready to be spoilt."""

    def __init__(self):
        self.rows = rows_of(3)
        self.scans = scans_of(self.rows)
        self.head = ChainHead(epoch=EPOCH, seq=3, hash=self.rows[-1].hash)
        self.hub_heads = [self.head]
        self.hub_rows = 3
        self.depth, self.chain_ok = 0, True
        self.totals = dict(TOTALS)
        self.other_chains = {}
        self.count = CrowdCount(people=3, shown=3, as_expected=3)

    def prove(self, **allowed):
        gate = GateReading(
            name="G1",
            device=DEVICE,
            depth=self.depth,
            chain_ok=self.chain_ok,
            head=self.head,
            scans=self.scans,
        )
        return prove(
            gates=[gate],
            hub=HubReading(rows=self.hub_rows, receipted=self.hub_rows, heads={DEVICE: self.hub_heads}),
            platform=PlatformReading(totals=self.totals, rows={(DEVICE, EPOCH): self.rows, **self.other_chains}),
            crowd=self.count,
            **allowed,
        )


@pytest.fixture
def run():
    return Run()


def test_a_right_run_holds(run):
    proof = run.prove()
    assert proof.holds
    assert (proof.sealed, proof.stored, proof.forwarded, proof.receipted) == (3, 3, 3, 3)
    assert (proof.lost, proof.doubled, proof.differing) == (0, 0, 0)
    assert proof.as_json()["holds"] is True


def test_a_gate_that_recorded_without_living_to_light_it_holds(run):
    run.scans.pop()
    assert run.prove().holds


def test_an_answer_without_a_record_needs_no_row(run):
    run.scans.append(replace(run.scans[0], seq=None, colour="grey", verdict="hold", reason="several_codes"))
    assert run.prove().holds


def test_a_row_that_is_missing_in_the_end_is_lost(run):
    run.rows.pop()
    run.totals["distinct"] = run.totals["rows"] = 2
    assert run.prove().lost == 1


def test_a_light_beyond_the_head_is_lost(run):
    run.scans.append(replace(run.scans[-1], seq=4))
    assert run.prove().lost == 1


def test_a_missing_row_in_the_middle_is_lost_and_breaks_the_chain(run):
    del run.rows[1]
    proof = run.prove()
    assert proof.lost == 1
    assert proof.differing


def test_a_check_in_that_came_again_is_doubled(run):
    run.totals["again"] = 1
    assert run.prove().doubled == 1


def test_a_row_too_many_in_the_hub_is_doubled(run):
    run.hub_rows = 4
    assert run.prove().doubled == 1


@pytest.mark.parametrize("change", [{"colour": "red"}, {"verdict": "hold"}, {"reason": "notice"}])
def test_a_light_that_differs_from_its_row_is_found(run, change):
    run.scans[1] = replace(run.scans[1], **change)
    proof = run.prove()
    assert proof.differing == 1
    assert not proof.holds


def test_a_seq_that_was_lit_twice_is_found(run):
    run.scans.append(run.scans[0])
    assert not run.prove().holds


def test_green_lights_without_records_are_found(run):
    run.scans.append(replace(run.scans[0], seq=None))
    assert any("green lights" in problem for problem in run.prove().problems)


def test_a_changed_hash_is_found(run):
    run.rows[1] = replace(run.rows[1], hash="cc" * 32)
    assert run.prove().differing


@pytest.mark.parametrize("spoil", [{"hash": "dd" * 32}, {"seq": 2}, {"epoch": "ee" * 8}])
def test_a_hub_with_another_head_is_found(run, spoil):
    run.hub_heads = [replace(run.head, **spoil)]
    assert run.prove().differing == 1


def test_a_second_epoch_in_the_hub_is_found(run):
    run.hub_heads.append(replace(run.head, epoch="ee" * 8))
    assert not run.prove().holds


def test_a_chain_of_nobody_is_found(run):
    run.other_chains[("11" * 8, EPOCH)] = []
    assert not run.prove().holds


@pytest.mark.parametrize("name", ["gaps", "chain_breaks", "bad_signatures", "forks", "malformed", "unknown_devices"])
def test_whatever_the_platform_counted_is_a_problem(run, name):
    run.totals[name] = 1
    assert not run.prove().holds


def test_a_full_spool_or_a_broken_own_chain_is_a_problem(run):
    run.depth, run.chain_ok = 2, False
    assert run.prove().differing == 2


@pytest.mark.parametrize("name", ["wrongly_admitted", "unanswered"])
def test_people_who_were_treated_wrongly_are_a_problem(run, name):
    setattr(run.count, name, 1)
    assert not run.prove().holds


def without_the_second(run):
    del run.rows[1]
    run.totals |= {"rows": 2, "distinct": 2, "gaps": 1}
    run.hub_rows = 2


def test_what_a_restored_hub_wrote_off_by_name_may_be_missing(run):
    without_the_second(run)
    assert run.prove().lost == 1
    assert run.prove(written_off={DEVICE: frozenset({2})}).holds


@pytest.mark.parametrize("numbers", [{1}, {3}, {1, 2}, {2, 4}])
def test_no_other_number_may_be_missing_and_none_of_them_be_there(run, numbers):
    without_the_second(run)
    assert not run.prove(written_off={DEVICE: frozenset(numbers)}).holds


def test_a_restored_hub_may_send_again_so_many_and_no_more(run):
    run.totals |= {"rows": 5, "again": 2}
    assert run.prove().doubled == 2
    assert run.prove(sent_again=1).doubled == 1
    assert run.prove(sent_again=2).holds


def test_percentiles_are_nearest_rank():
    found = latency([float(n) for n in range(100, 0, -1)])
    assert (found.p50, found.p95, found.p99) == (51.0, 96.0, 100.0)
    assert latency([]).p50 is None
