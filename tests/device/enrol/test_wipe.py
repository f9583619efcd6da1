"""A wiped device is as from the box, whatever cut the power on the way."""

import pytest

from device import sitefile
from device.enrol import pending, site
from device.enrol.attempt import Attempt
from device.enrol.errors import JoinError, SiteError
from device.enrol.pending import Enrolling, Renewing
from device.enrol.wipe import begin_wipe, finish_wipe, wiping
from device.keystore.ports import KeyStoreError, NoSuchKeyError
from protocol.enrolment import EnrolmentState

SECRET = b"seed of a key, or a subject"


class Known:
    """A FAKE network that knows one connection."""

    def __init__(self, *, fails=0):
        self.fails = fails
        self.known = True

    def join(self, ssid, psk):
        raise AssertionError

    def leave(self):
        if self.fails:
            self.fails -= 1
            raise JoinError("no D-Bus")
        self.known = False


@pytest.fixture
def lived_in(around, book, direct, with_changes):
    """A device that was enrolled, has records, and had begun a renewal and another enrolment."""
    book.state = EnrolmentState.APPROVED
    around.state_dir.mkdir()
    here = with_changes(around, open_hub=lambda code, now_s: direct(book))
    assert Attempt.begin(book.text(), here).step() is EnrolmentState.APPROVED
    for name in ("renewal-key", "enrolment-key"):
        here.keys.make(name)
    pending.save(here.state_dir / "renewing", Renewing(tls_key="x", signing="renewal-key"))
    pending.save(here.state_dir / "enrolling", Enrolling(code="x", signing="enrolment-key", tls_key="y"))
    for name in ("spool.db", "spool.db-wal", "spool.reserve", "commands.log"):
        (here.state_dir / name).write_bytes(SECRET * 200)
    (here.state_dir / "believed" / "lists").mkdir(parents=True)
    (here.state_dir / "believed" / "lists" / "1").write_bytes(SECRET)
    (here.state_dir / "believed" / "outside").symlink_to("/etc")
    return here


def left(state_dir):
    return sorted(path.name for path in state_dir.iterdir())


def test_a_wipe_leaves_nothing(lived_in):
    network = Known()
    begin_wipe(lived_in.state_dir)
    assert wiping(lived_in.state_dir)
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=network)
    assert left(lived_in.state_dir) == []
    assert not network.known
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=Known(fails=1)), "nothing was begun"


def test_what_is_erased_is_overwritten(lived_in, tmp_path):
    """A second name of the same file shows what its blocks hold afterwards."""
    spool, other = lived_in.state_dir / "spool.db", tmp_path / "second-name"
    other.hardlink_to(spool)
    begin_wipe(lived_in.state_dir)
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=None)
    assert set(other.read_bytes()) == {0}


def test_the_device_can_be_enrolled_again(lived_in, book):
    begin_wipe(lived_in.state_dir)
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=None)
    assert Attempt.resume(lived_in) is None
    assert Attempt.begin(book.text(), lived_in).step() is EnrolmentState.APPROVED
    site.check(site.current(lived_in.state_dir), keys=lived_in.keys)


@pytest.mark.parametrize("unreadable", [False, True])
def test_keys_are_erased_in_the_store_that_has_them(lived_in, unreadable):
    """A token keeps its keys outside `state_dir`; it is told each name, also of what was only begun."""

    class Token:
        def __init__(self):
            self.erased = []

        def erase(self, name):
            self.erased.append(name)

    stored = sitefile.load_current(lived_in.state_dir).keys.stored
    token = Token()
    if unreadable:
        (lived_in.state_dir / "wiping").write_bytes(b"half a mark")
    else:
        begin_wipe(lived_in.state_dir)
        # The thread that renews does not know of the wipe yet.
        pending.save(lived_in.state_dir / "renewing", Renewing(tls_key="x", signing="late-key"))
    finish_wipe(lived_in.state_dir, keys=token, network=None)
    late = [] if unreadable else ["late-key"]
    assert sorted(token.erased) == sorted([stored, "renewal-key", "enrolment-key", *late])


def test_private_files_of_a_provisioned_gate_go_too(lived_in, tmp_path):
    found = sitefile.load_current(lived_in.state_dir)
    signing, key = tmp_path / "device.key", tmp_path / "tls.key"
    signing.write_bytes(SECRET)
    key.write_bytes(SECRET)
    from msgspec.structs import replace

    given = replace(
        found,
        keys=replace(found.keys, signing=signing, stored=None),
        broker=replace(found.broker, key=key),
    )
    begin_wipe(lived_in.state_dir, given=[given])
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=None)
    assert not signing.exists()
    assert not key.exists()


def test_what_cannot_be_erased_does_not_save_the_rest_and_is_tried_again(lived_in):
    class Locked:
        fails = True

        def erase(self, name):
            if self.fails:
                raise KeyStoreError("the token is locked")

    token, network = Locked(), Known(fails=1)
    begin_wipe(lived_in.state_dir)
    with pytest.raises(SiteError, match=r"token is locked.*no D-Bus"):
        finish_wipe(lived_in.state_dir, keys=token, network=network)
    assert left(lived_in.state_dir) == ["wiping"], "no gate starts from this"
    token.fails = False
    finish_wipe(lived_in.state_dir, keys=token, network=network)
    assert left(lived_in.state_dir) == []
    assert not network.known


@pytest.mark.parametrize(
    "mark", [b"\xff half a mark", b'{"keys": ["\xff"], "files": []}', b'{"more": ' + b"[" * 60_000]
)
def test_a_mark_that_cannot_be_read_still_means_a_wipe(lived_in, mark):
    (lived_in.state_dir / "wiping").write_bytes(mark)
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=None)
    assert left(lived_in.state_dir) == []


def test_what_is_the_file_systems_own_stays(lived_in):
    (lived_in.state_dir / "lost+found").mkdir()
    begin_wipe(lived_in.state_dir)
    finish_wipe(lived_in.state_dir, keys=lived_in.keys, network=None)
    assert left(lived_in.state_dir) == ["lost+found"]


def test_a_second_wipe_does_not_begin(lived_in):
    begin_wipe(lived_in.state_dir)
    mark = (lived_in.state_dir / "wiping").read_bytes()
    begin_wipe(lived_in.state_dir)
    assert (lived_in.state_dir / "wiping").read_bytes() == mark


@pytest.mark.slow
def test_a_power_cut_at_any_step_of_a_wipe_leaves_a_gate_or_a_box(cuts, lived_in, prepared):
    stored = sitefile.load_current(lived_in.state_dir).keys.stored
    for name in ("spool.db-wal", "spool.reserve", "believed/outside"):
        # One file of each kind: every further one adds the same dozen cuts. `Cut` does not follow links either.
        (lived_in.state_dir / name).unlink()
    before = left(lived_in.state_dir)
    begun = set()
    for cut in cuts():
        here, network = prepared(cut), Known()
        with cut:
            begin_wipe(here.state_dir)
            finish_wipe(here.state_dir, keys=here.keys, network=network)
        if not wiping(here.state_dir) and set(before) <= set(left(here.state_dir)):
            begun.add(False)
            site.check(site.current(here.state_dir), keys=here.keys)
            assert (here.state_dir / "spool.db").read_bytes() == SECRET * 200, "as it was, to the last byte"
            continue
        begun.add(True)
        finish_wipe(here.state_dir, keys=here.keys, network=network)
        assert left(here.state_dir) == []
        assert not network.known
        with pytest.raises(NoSuchKeyError):
            here.keys.load(stored)
    assert begun == {True, False}
