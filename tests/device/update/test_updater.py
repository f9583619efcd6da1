"""From a wish to a release that runs, or to the one before; everything but the gate and the network is real."""

import errno

import pytest

from device.update import notes, slots
from device.update.errors import UpdateError
from device.update.notes import Failed, Status
from device.update.state import STARTS_MAX, Store
from protocol.health import UpdateFailure
from tests.device.update.conftest import bundle
from tests.device.update.machine import FACTORY, Machine, unreachable


@pytest.fixture
def machine(tmp_path, lines):
    machine = Machine(tmp_path, out=lines)
    machine.start_gate()
    return machine


def failed(machine):
    told = machine.status.failed
    return None if told is None else (told.release, told.why)


def test_a_release_that_is_well_stays(machine):
    machine.want(2000)
    machine.run()
    assert machine.in_force == 2000
    assert machine.status == Status(release=2000)
    assert machine.ran == [FACTORY, 2000]
    assert machine.state.floor == 2000
    assert machine.state.trial is None


def test_nothing_happens_when_it_is_asked_again(machine):
    machine.want(2000)
    machine.run()
    machine.run()
    assert machine.ran == [FACTORY, 2000]


def test_releases_go_from_slot_to_slot(machine):
    linked = []
    for release in (2000, 3000, 4000):
        machine.want(release)
        machine.run()
        linked.append(machine.look().linked)
        assert machine.in_force == release
    assert linked == ["a", "b", "a"]


def test_one_that_dies_at_its_start_is_taken_back_by_the_start(machine):
    machine.want(2000)
    machine.run()
    machine.bad = {3000}
    machine.want(3000)
    machine.run()
    assert machine.ran[2:] == [3000] * STARTS_MAX + [2000]
    assert (machine.in_force, failed(machine)) == (2000, (3000, UpdateFailure.UNHEALTHY))
    assert machine.status.release == 2000


def test_without_a_slot_before_it_the_installed_release_comes_back(machine):
    machine.bad = {2000}
    machine.want(2000)
    machine.run()
    assert (machine.in_force, machine.look().linked) == (FACTORY, None)


def test_one_that_runs_and_never_reaches_the_hub_is_taken_back_in_time(machine):
    machine.deaf = {2000}
    machine.want(2000)
    machine.run()
    assert machine.ran == [FACTORY, 2000, FACTORY]
    assert 180 <= machine.mono_s <= 181
    assert failed(machine) == (2000, UpdateFailure.UNHEALTHY)


def test_the_health_of_the_release_before_confirms_nothing(machine):
    machine.want(2000)
    machine.run()
    before = notes.healthy_file(machine.state_dir).read_bytes()
    machine.deaf = {3000}
    machine.want(3000)
    machine.run()
    assert (machine.in_force, failed(machine)) == (2000, (3000, UpdateFailure.UNHEALTHY))
    # Nor does a note of the same release from before the trial, that a full disk kept in its place.
    machine.want(3000)
    notes.healthy_file(machine.state_dir).write_bytes(before.replace(b"0.2.0", b"0.3.0"))
    machine.start_gate = lambda: machine.ran.append(machine.in_force)
    machine.run()
    assert machine.in_force == 2000


def test_one_that_failed_is_tried_again_only_when_it_is_wanted_again(machine):
    machine.bad = {2000}
    machine.want(2000)
    machine.run()
    tried = len(machine.ran)
    machine.run()
    assert len(machine.ran) == tried
    machine.bad = set()
    machine.want(2000)
    machine.run()
    assert machine.in_force == 2000
    assert failed(machine) is None


@pytest.mark.parametrize("release", [FACTORY - 1, 1])
def test_what_is_older_than_the_installed_one_is_refused(machine, release):
    machine.want(release)
    machine.run()
    assert (machine.in_force, failed(machine)) == (FACTORY, (release, UpdateFailure.OLDER))


def test_what_is_older_than_what_ran_well_is_refused_also_after_a_way_back(machine):
    for release in (2000, 3000):
        machine.want(release)
        machine.run()
    machine.want(2500)
    machine.run()
    assert (machine.in_force, failed(machine)) == (3000, (2500, UpdateFailure.OLDER))
    machine.bad = {4000}
    for release in (4000, 2500):
        machine.want(release)
        machine.run()
    assert (machine.in_force, failed(machine)) == (3000, (2500, UpdateFailure.OLDER))


def test_a_hub_that_is_away_is_asked_again_for_a_while(machine):
    machine.publisher[2000] = [unreachable(), unreachable(), bundle(2000).getvalue()]
    machine.want(2000)
    machine.run()
    assert (machine.in_force, machine.mono_s) == (2000, 15.0)


def test_a_hub_that_stays_away_is_told_when_it_is_back(machine, lines):
    machine.publisher[2000] = unreachable()
    machine.want(2000)
    machine.run()
    assert failed(machine) == (2000, UpdateFailure.UNREACHABLE)
    assert machine.mono_s < 600
    assert 5 <= len(lines.named("update_waits")) <= 20


def test_a_newer_wish_ends_the_waiting(machine):
    machine.publisher[2000] = unreachable()
    machine.want(2000)
    sleep, machine._sleep = machine._sleep, lambda seconds: (sleep(seconds), machine.want(3000))
    machine.run()
    assert machine.in_force == 3000
    assert machine.mono_s < 60


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (UpdateError(UpdateFailure.UNTRUSTED, "somebody changed it"), UpdateFailure.UNTRUSTED),
        (UpdateError(UpdateFailure.UNFIT, "not for this platform"), UpdateFailure.UNFIT),
        (bundle(3000).getvalue(), UpdateFailure.UNFIT),
        (b"rubbish", UpdateFailure.UNFIT),
        (OSError(errno.ENOSPC, "full"), UpdateFailure.UNFIT),
        (OSError(errno.EIO, "a dying card"), UpdateFailure.UNFIT),
    ],
)
def test_what_cannot_be_had_changes_nothing(machine, given, failure):
    machine.publisher[2000] = given
    machine.want(2000)
    machine.run()
    assert (machine.in_force, failed(machine)) == (FACTORY, (2000, failure))
    assert machine.ran == [FACTORY]
    assert sorted(path.name for path in machine.firmware_dir.iterdir()) == [
        "lock",
        "run.lock",
        "state.json",
        "status.json",
    ]


def test_a_clock_that_is_behind_the_last_update_is_not_believed(machine):
    machine.want(2000)
    machine.run()
    machine.now_s -= 86_400
    machine.want(3000)
    machine.run()
    assert (machine.in_force, failed(machine)) == (2000, (3000, UpdateFailure.UNREACHABLE))


def test_two_updaters_do_not_meet(machine):
    with Store(machine.firmware_dir).alone(), pytest.raises(TimeoutError, match=r"run\.lock"):
        machine.run()


def test_a_newer_release_that_was_installed_by_hand_counts(machine):
    machine.want(2000)
    machine.run()
    machine.factory = 3000
    machine.run()
    assert (machine.in_force, machine.look().linked) == (3000, None)


def test_a_slot_that_was_damaged_is_passed_over_and_can_be_fetched_again(machine):
    machine.want(2000)
    machine.run()
    (machine.firmware_dir / "a" / "bundle.json").write_bytes(b"\0" * 50)
    assert machine.in_force == FACTORY
    machine.want(2000)
    machine.run()
    assert machine.in_force == 2000


@pytest.mark.parametrize("data", [b"", b"{", b"\xff" * 100, b"[]", b'{"floor": -1}', b"[" * 60_000])
def test_a_damaged_state_is_set_aside_and_the_gate_still_starts(machine, data):
    machine.want(2000)
    machine.run()
    (machine.firmware_dir / "state.json").write_bytes(data)
    machine.start_gate()
    assert machine.ran[-1] == 2000
    assert (machine.firmware_dir / "state.json.bad").exists()
    # The floor is what is in force at least: an older one is not brought about.
    machine.want(1500)
    machine.run()
    assert machine.in_force == 2000


@pytest.mark.parametrize(
    "note", [b"", b"{", b"null", b'{"release": 0, "id": "01"}', b'{"release": 2000, "id": "x"}', b"9" * 5000]
)
def test_a_wish_that_cannot_be_read_is_none(machine, note):
    path = notes.wanted_file(machine.state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(note)
    machine.run()
    assert machine.ran == [FACTORY]


def test_the_slot_in_force_is_never_written(machine):
    machine.want(2000)
    machine.run()
    with pytest.raises(ValueError, match="in force"):
        slots.Slots(machine.firmware_dir).clear("a")


def test_every_failure_has_a_name_in_files():
    for failure in UpdateFailure:
        assert Failed.of(2000, failure).why is failure
