"""install.sh in a real Debian, twice: the second run changes nothing, and the programs of that Debian take what it put there.

No Pi and no Raspberry Pi OS: its camera and pins are not there, and Debian's kernel is this machine's.
"""

import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.hil.mirror import ROOT, WORK, bootstrap, claimed, unreachable
from deploy.hil.systemd.machine import booted
from tests.deploy.debians import as_here, inside

pytestmark = [pytest.mark.hil, pytest.mark.install, pytest.mark.slow, pytest.mark.sockets]

COMMON = (
    *("systemd", "systemd-sysv", "udev", "dbus", "python3-venv", "python3-numpy", "libseccomp2", "chrony", "nftables"),
    *("tzdata", "ca-certificates", "fdisk", "e2fsprogs"),
)
PACKAGES = {
    "bookworm": (*COMMON, "libzbar0"),
    # What cloud-init reads there it reads on Raspberry Pi OS; bookworm's has none.
    "trixie": (*COMMON, "libzbar0t64", "cloud-init", "netplan.io"),
}
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "protocol", "device", "hub", "deploy")
INSTALL = ("bash", "/usr/src/gatelight/deploy/device/install.sh", "--force", "--admin", "10.20.0.0/24")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(suite, marks=pytest.mark.xdist_group(f"hil-install-device-{suite}"))
        for suite in ("bookworm", "trixie")
    ],
)
def debian(request, tmp_path_factory):
    """A root with the checkout in it; made once, copied for each run."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian")
    if (why := unreachable()) is not None:
        pytest.skip(why)
    with claimed(WORK / "install-device" / request.param) as folder:
        shutil.rmtree(folder / "begun", ignore_errors=True)
        recipe = hashlib.sha256(repr(PACKAGES[request.param]).encode()).hexdigest()[:12]
        made = folder / f"{request.param}-{recipe}"
        if not made.exists():
            for older in folder.glob(f"{request.param}*"):
                shutil.rmtree(older)
            bootstrap(folder / "begun", suite=request.param, include=PACKAGES[request.param])
            (folder / "begun").rename(made)
    root = tmp_path_factory.mktemp("device") / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(made), str(root)], check=True)
    for name in SOURCES:
        target = root / "usr" / "src" / "gatelight" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(ROOT / name), str(target)], check=True)
    boot = root / "boot" / "firmware"
    boot.mkdir(parents=True)
    (boot / "config.txt").write_text("dtparam=audio=on\n")
    as_here(root)
    yield root
    shutil.rmtree(root)


def test_a_gate_is_installed_once_and_its_programs_answer(debian):
    assert "no Raspberry Pi OS" in inside(debian, *INSTALL[:2], ok=False)
    first = inside(debian, *INSTALL)
    for what in ("program 0.1.0", "users gatelight", "/boot/firmware/config.txt", "gatelight-device.service starts"):
        assert f"changed  {what}" in first, first
    second = inside(debian, *INSTALL)
    assert "changed " not in second, second
    assert second.count("already ") > 20

    live = debian / "opt" / "gatelight"
    assert str(live.readlink()).startswith("/opt/gatelight-0.1.0-")
    assert set(inside(debian, "id", "-Gn", "gatelight").split()) == {"gatelight", "audio", "video", "i2c", "gpio"}
    # As the gate's user, by the release in force; what it says of the site is what a blank device knows.
    said = inside(debian, "gatelight-device", "check-config")
    assert "state_dir" in said, said
    assert "/var/lib/gatelight" in said
    inside(debian, "/opt/gatelight/bin/gatelight-update", "--help")

    # Packages: numpy the system's, the rest those of the lock, and a decoder that loads.
    where = "import numpy, zxingcpp, cbor2; print(numpy.__file__, zxingcpp.__file__, cbor2.__file__)"
    numpy, *others = inside(debian, "/opt/gatelight/bin/python", "-c", where).split()
    assert numpy.startswith("/usr/lib/python3/")
    assert all(path.startswith("/opt/gatelight/") for path in others)


def test_that_debians_programs_take_what_was_put_there(debian):
    inside(debian, *INSTALL)
    assert inside(debian, "chronyd", "-p", "-f", "/etc/chrony/chrony.conf").count("rtcsync") == 1
    inside(debian, "nft", "-c", "-f", "/etc/gatelight/firewall.nft")
    units = sorted(path.name for path in (debian / "etc/systemd/system").glob("gatelight-*.*") if path.is_file())
    assert len(units) >= 7
    said = inside(debian, "systemd-analyze", "verify", "--man=no", *(f"/etc/systemd/system/{name}" for name in units))
    assert not [line for line in said.splitlines() if "gatelight" in line], said
    if "cloud-init" in PACKAGES[debian_suite(debian)]:
        inside(debian, "udevadm", "verify", "/etc/udev/rules.d/60-gatelight.rules")
        schema = inside(debian, "cloud-init", "schema", "--config-file", "/usr/src/gatelight/deploy/device/user-data")
        assert "Valid schema" in schema
    settings = inside(debian, "systemd-analyze", "cat-config", "systemd/system.conf")
    assert "RuntimeWatchdogSec=15s" in settings


def test_a_broken_program_is_not_switched_to_and_one_step_leads_back(debian):
    if debian_suite(debian) == "bookworm":
        pytest.skip("on trixie; nothing in it asks which Debian this is")
    inside(debian, *INSTALL)
    live, source = debian / "opt/gatelight", debian / "usr/src/gatelight/device/cli.py"
    before, text = live.readlink(), source.read_text()
    source.write_text("this is no Python\n")
    inside(debian, *INSTALL, ok=False)
    assert live.readlink() == before
    source.write_text(text + "# another version\n")
    assert "changed  program" in inside(debian, *INSTALL)
    assert live.readlink() != before
    inside(debian, *INSTALL, "--back")
    assert live.readlink() == before
    source.write_text(text)


def test_a_card_gets_its_data_partition_once(debian, tmp_path):
    """In an image, with ext2 where a Pi has FAT: not every kernel that runs this has that."""
    if not Path("/dev/loop-control").exists():
        pytest.skip("NO LOOP DEVICES HERE: no card was partitioned")
    image = debian / "root" / "card.img"
    with image.open("wb") as file:
        file.truncate(12 << 30)
    begin = f"""set -e; cd /root
    printf 'label: dos\\nstart=16384, size=262144, type=c\\nstart=278528, size=2097152, type=83\\n' | sfdisk -q card.img
    boot=$(losetup -f --show -o {16384 * 512} --sizelimit {262144 * 512} card.img); mkfs.ext2 -q -L bootfs $boot
    root=$(losetup -f --show -o {278528 * 512} --sizelimit {2097152 * 512} card.img); mkfs.ext4 -q -L rootfs $root
    mkdir -p m; mount $boot m; echo 'rootfstype=ext4 rootwait resize' >m/cmdline.txt; umount m
    mount $root m; echo kept >m/file; umount m; losetup -d $boot $root"""
    inside(debian, "sh", "-c", begin)
    card = ("bash", "/usr/src/gatelight/deploy/device/card.sh", "/root/card.img", "--yes")
    assert "changed  /root/card.img: root has 8 GB" in inside(debian, *card)
    assert "already" in inside(debian, *card)
    begins = [
        line.split() for line in inside(debian, "sfdisk", "-qlo", "Start,Sectors", "/root/card.img").splitlines()[1:]
    ]
    (_, (root, room), (data, _)) = [tuple(map(int, line)) for line in begins]
    assert (room * 512) // 10**9 == 7
    assert data == root + room
    look = f"""set -e; cd /root
    data=$(losetup -f --show -o {data * 512} card.img); blkid -p -o value -s LABEL $data; losetup -d $data
    boot=$(losetup -f --show -o {16384 * 512} --sizelimit {262144 * 512} card.img); mount $boot m; cat m/cmdline.txt; umount m
    root=$(losetup -f --show -o {root * 512} --sizelimit {room * 512} card.img); e2fsck -fn $root >/dev/null 2>&1
    mount $root m; cat m/file; df --output=size -B 1000000000 m | tail -1; umount m; losetup -d $boot $root"""
    assert inside(debian, "sh", "-c", look).split() == ["gatelight-data", "rootfstype=ext4", "rootwait", "kept", "8"]
    image.unlink()


def test_it_starts_with_a_root_that_nothing_can_write(debian, tmp_path):
    """Under a real systemd. A container has no disks: the data partition is a file system in memory, mounted before."""
    inside(debian, *INSTALL)
    with layered(debian, tmp_path) as root:
        (root / "data").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "data", str(root / "data")], check=True)
        # What FAT says of itself has `remount-ro` in it, which is no `ro`; here the partition is read-only.
        boot = root / "boot/firmware"
        subprocess.run(["mount", "-t", "tmpfs", "boot", str(boot)], check=True)
        (boot / "enrol.json").write_text("a token")
        subprocess.run(["mount", "-o", "remount,ro", str(boot)], check=True)
        (root / "var/lib/gatelight").mkdir()
        (root / "var/lib/gatelight/spool.db").write_bytes(b"check-ins")
        (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        (root / "etc/fstab").write_text("overlay / overlay defaults 0 0\n")
        script = root / "usr/local/sbin/gatelight-readonly"
        subprocess.run(["bash", str(script), "on", "--root", str(root)], check=True, capture_output=True)
        # It has no camera, and is about the rest.
        (root / "etc/systemd/system/multi-user.target.wants/gatelight-device.service").unlink()
        with booted(root, binds={}, log=tmp_path / "journal.log") as machine:
            machine.run("sh", "-c", "systemctl is-system-running --wait || true")
            state = machine.run("findmnt", "-rno", "TARGET,OPTIONS").splitlines()
            mounted = dict(line.split(maxsplit=1) for line in state)
            assert mounted["/"].startswith("ro")
            assert {"/var/lib/gatelight", "/var/log/journal", "/var/lib/systemd", "/var/log", "/tmp"} <= set(mounted)
            assert machine.run("cat", "/var/lib/gatelight/spool.db") == "check-ins"
            for path in ("/etc/x", "/usr/x", "/var/lib/x", "/opt/x"):
                assert "Read-only" in machine.run("sh", "-c", f"touch {path} 2>&1", fails=True)
            for path in ("/tmp/x", "/var/log/x", "/var/lib/gatelight/x"):
                machine.run("touch", path)
            assert machine.run("cat", "/boot/firmware/enrol.json") == "a token"
            machine.run("mkdir", "-p", "/var/lib/gatelight/site")
            machine.run("systemctl", "restart", "gatelight-boot-file.path")
            machine.run("touch", "/var/lib/gatelight/site/current")
            machine.wait("the enrolment's file is gone", lambda: not (boot / "enrol.json").exists())
            machine.wait(
                "boot is as it was", lambda: machine.run("findmnt", "-no", "OPTIONS", "/boot/firmware").startswith("ro")
            )
            machine.run("journalctl", "--flush")
            assert list((root / "data/var/log/journal").glob("*/system.journal"))
            failed = machine.run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
            # A container may set neither the clock nor the kernel, and has no LABEL= to wait for.
            alone = [
                line
                for line in failed.splitlines()
                if not line.startswith(("chrony", "systemd-sysctl", "systemd-modules"))
            ]
            assert alone == [], failed


@contextmanager
def layered(lower, folder):
    """That root with a layer of its own above it: what is made read-only is this and never a disk of this machine."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    layers = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "gatelight-install", "-o", layers, str(folder / "root")], check=True)
    try:
        yield folder / "root"
    finally:
        subprocess.run(["umount", "--recursive", str(folder / "root")], check=True)


def debian_suite(root):
    text = (root / "etc/os-release").read_text()
    return "trixie" if 'VERSION_ID="13"' in text else "bookworm"
