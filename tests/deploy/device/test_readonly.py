"""gatelight-readonly, for the files of a card: what it sets, that it can be cut off, and that no state is lost or doubled."""

import re
import subprocess

import pytest

KEPT = "var/lib/gatelight"


@pytest.fixture
def lived(card):
    """A gate that has recorded something."""
    (card / KEPT / "keys").mkdir(parents=True)
    (card / KEPT / "spool.db").write_bytes(b"check-ins")
    (card / KEPT / "keys" / "device.key").write_bytes(b"a key")
    (card / KEPT / "keys" / "device.key").chmod(0o600)
    return card


def entries(card):
    lines = (card / "etc/fstab").read_text().splitlines()
    return {fields[1]: fields for fields in map(str.split, lines) if fields and not fields[0].startswith("#")}


def options(card, where):
    return entries(card)[where][3].split(",")


def test_root_and_boot_are_read_only_and_what_lasts_is_on_the_data_partition(lived, script):
    script("readonly.sh", "on")
    assert "ro" in options(lived, "/")
    assert "noatime" in options(lived, "/")
    assert "ro" in options(lived, "/boot/firmware")
    assert entries(lived)["/data"][0] == "LABEL=gatelight-data"
    for path in ("/var/lib/gatelight", "/var/lib/gatelight-firmware", "/var/lib/chrony", "/var/log/journal"):
        assert entries(lived)[path][0] == f"/data{path}"
        assert "bind" in options(lived, path)
        assert (lived / "data" / path[1:]).is_dir()
    for path in ("/tmp", "/var/tmp", "/var/log"):
        assert entries(lived)[path][2] == "tmpfs"
    # One that is gone leaves a way to look; none of them may keep a write back from the card.
    for path, fields in entries(lived).items():
        if fields[0].startswith(("LABEL=", "/data")):
            assert "nofail" in options(lived, path)
        assert not {"nobarrier", "barrier=0", "data=writeback"} & set(options(lived, path))


def test_that_mount_program_reads_it(lived, script, lint):
    script("readonly.sh", "on")
    said = lint("findmnt", "--verify", "--tab-file", lived / "etc/fstab")
    # Disks and folders of a Pi are not here; a line that cannot be read, or an option that does not exist, would be told.
    assert not re.search(r"[1-9][0-9]* parse error|unsupported|wrong|unknown", said), said


def test_state_is_moved_whole_and_there_is_one_of_it(lived, script):
    script("readonly.sh", "on")
    moved = lived / "data" / KEPT
    assert (moved / "spool.db").read_bytes() == b"check-ins"
    assert (moved / "keys" / "device.key").stat().st_mode & 0o777 == 0o600
    assert list((lived / KEPT).iterdir()) == []


def test_a_second_time_changes_nothing(lived, script):
    script("readonly.sh", "on")
    before = tree(lived)
    said = script("readonly.sh", "on")
    assert "changed " not in said, said
    assert tree(lived) == before


def test_what_was_cut_off_is_begun_again_and_nothing_is_lost(lived, script):
    begun = lived / "data" / (KEPT + ".begun")
    begun.mkdir(parents=True)
    (begun / "spool.db").write_bytes(b"che")
    script("readonly.sh", "on")
    assert (lived / "data" / KEPT / "spool.db").read_bytes() == b"check-ins"
    assert not begun.exists()


def test_what_is_on_the_data_partition_is_never_overwritten(lived, script):
    """As after a card was written anew: an old spool under a newer one would be a chain that forks."""
    newer = lived / "data" / KEPT
    newer.mkdir(parents=True)
    (newer / "spool.db").write_bytes(b"newer")
    script("readonly.sh", "on")
    assert (newer / "spool.db").read_bytes() == b"newer"


def test_off_lets_root_be_written_and_leaves_state_where_it_is(lived, script):
    script("readonly.sh", "on")
    moved = (lived / "data" / KEPT / "spool.db").read_bytes()
    script("readonly.sh", "off")
    assert "ro" not in options(lived, "/")
    assert "ro" not in options(lived, "/boot/firmware")
    assert entries(lived)["/var/lib/gatelight"][0] == "/data/var/lib/gatelight"
    assert (lived / "data" / KEPT / "spool.db").read_bytes() == moved
    assert "set      off" in script("readonly.sh", "status")
    script("readonly.sh", "on")
    assert "set      on" in script("readonly.sh", "status")


def test_a_gate_without_its_data_does_not_start_as_another_one(lived, script):
    script("readonly.sh", "on")
    drop_in = lived / "etc/systemd/system/gatelight-device.service.d/data.conf"
    assert "RequiresMountsFor=/var/lib/gatelight " in drop_in.read_text()


@pytest.mark.parametrize(
    ("gone", "said"),
    [("etc/machine-id", "machine-id"), ("etc/ssh/ssh_host_ed25519_key", "host keys"), ("etc/fstab", "names no root")],
)
def test_what_the_first_start_makes_must_have_been_made(lived, script, gone, said):
    (lived / gone).unlink()
    before = tree(lived)
    assert said in script("readonly.sh", "on", ok=False)
    assert tree(lived) == before


def test_without_a_data_partition_nothing_is_done(lived, script):
    (lived / "data").rmdir()
    assert "data partition" in script("readonly.sh", "on", ok=False)
    assert (lived / KEPT / "spool.db").exists()


def tree(root):
    listed = subprocess.run(
        ["find", ".", "-printf", "%p %y %m %l\n"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    return sorted(listed.splitlines()), (root / "etc/fstab").read_text() if (root / "etc/fstab").exists() else None
