"""What goes onto a Pi, and a card for it."""

import subprocess
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[3] / "deploy" / "device"
CONFIG_TXT = """\
# For more options and information see
dtparam=audio=on
[cm5]
dtoverlay=dwc2,dr_mode=host
"""
FSTAB = """\
proc            /proc           proc    defaults          0       0
PARTUUID=3cba9cd9-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=3cba9cd9-02  /               ext4    defaults,noatime  0       1
"""


@pytest.fixture(scope="session")
def shipped():
    """The folder that goes onto a Pi."""
    return SHIPPED


@pytest.fixture
def card(tmp_path):
    """The files of a card with Raspberry Pi OS that concern us, after its first start."""
    root = tmp_path / "card"
    for folder in (
        "boot/firmware",
        "etc/NetworkManager/system-connections",
        "etc/cloud",
        "etc/ssh/sshd_config.d",
        "data",
    ):
        (root / folder).mkdir(parents=True)
    (root / "boot/firmware/config.txt").write_text(CONFIG_TXT)
    (root / "etc/fstab").write_text(FSTAB)
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/ssh/ssh_host_ed25519_key").write_text("a key")
    (root / "etc/resolv.conf").write_text("nameserver 10.20.0.1\n")
    return root


@pytest.fixture
def script(card):
    """Runs one of our scripts for that card; returns what it said."""

    def run(name, *options, ok=True):
        command = ["bash", str(SHIPPED / name), *options, "--root", str(card)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
