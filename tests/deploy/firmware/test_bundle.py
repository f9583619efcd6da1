"""A bundle starts, is the same whoever builds it, and is for the machine that it says."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.firmware import bundle as module
from deploy.firmware.bundle import build
from deploy.firmware.cli import REQUIREMENTS, main
from deploy.firmware.errors import FirmwareError
from device.update.unpack import unpack
from protocol.release import release_of

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(CHECKOUT, platform="sandbox", version="7.8.9", into=tmp_path_factory.mktemp("made"))


def test_it_has_the_firmware_and_nothing_of_the_hub(made):
    with tarfile.open(made) as tar:
        names = tar.getnames()
    assert {"bin/gatelight-device", "bundle.json", "lib/device/gate.py", "lib/protocol/release.py"} <= set(names)
    assert "lib/device/send/schema/0001_spool.sql" in names
    assert not any(re.search(r"__pycache__|\.pyc|/hub/|/tests/|/vectors/", name) for name in names)
    assert {name.split("/")[0] for name in names} == {"bin", "lib", "bundle.json"}


def test_it_fits_a_slot_and_is_what_its_name_says(made, tmp_path):
    with made.open("rb") as file:
        label = unpack(file, tmp_path / "a", release=release_of("7.8.9"), platform="sandbox")
    assert (label.version, label.platform) == ("7.8.9", "sandbox")


@pytest.mark.slow
def test_it_runs_from_its_slot_and_from_nowhere_else(made, tmp_path):
    with made.open("rb") as file:
        unpack(file, tmp_path / "a", release=release_of("7.8.9"), platform="sandbox")
    (tmp_path / "current").symlink_to("a")
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "cli.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    (tmp_path / "a" / "lib" / "device" / "cli.py").write_text(
        "import sys, device.gate\nfrom importlib.metadata import version\n"
        "print(device.gate.__file__, version('gatelight'), sys.argv[1:])\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [tmp_path / "current" / "bin" / "gatelight-device", "run", "--config", "a b"],
        env={**os.environ, "GATELIGHT_PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/a/lib/device/gate.py 7.8.9 ['run', '--config', 'a b']\n"


def test_the_same_checkout_gives_the_same_bytes(made, tmp_path):
    copy = tmp_path / "elsewhere"
    for package in module.PACKAGES:
        shutil.copytree(CHECKOUT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(copy.rglob("*"), reverse=True):
        os.utime(path, (1, 1))
    again = build(copy, platform="sandbox", version="7.8.9", into=tmp_path)
    assert again.read_bytes() == made.read_bytes()


@pytest.mark.parametrize("version", ["", "1.2", "1.2.3rc1", "01.2.3", "0.0.0", "1.2.3/../../x"])
def test_what_is_no_release_is_not_built(tmp_path, version):
    with pytest.raises(FirmwareError, match="version"):
        build(CHECKOUT, platform="sandbox", version=version, into=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_checkout_is_not_followed(tmp_path):
    checkout = tmp_path / "checkout"
    for package in module.PACKAGES:
        (checkout / package).mkdir(parents=True)
    (checkout / "device" / "secret").symlink_to("/etc/hostname")
    # copytree follows links: what they lead to would be signed and published.
    with pytest.raises(FirmwareError, match="neither file nor folder"):
        build(checkout, platform="sandbox", version="1.2.3", into=tmp_path / "out")


def test_what_no_device_would_take_is_not_made(tmp_path, monkeypatch):
    monkeypatch.setattr("device.update.unpack.ENTRIES_MAX", 3)
    with pytest.raises(FirmwareError, match="over 3 entries"):
        build(CHECKOUT, platform="sandbox", version="1.2.3", into=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pi_needs_the_list_of_packages(tmp_path):
    with pytest.raises(FirmwareError, match="list of packages"):
        build(CHECKOUT, platform="trixie-aarch64", version="1.2.3", into=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("platform", "python"), [("bookworm-aarch64", "311"), ("trixie-aarch64", "313")])
def test_a_bundle_for_a_pi_has_every_package_built_for_it(tmp_path, platform, python):
    made = build(CHECKOUT, platform=platform, version="1.2.3", into=tmp_path, requirements=REQUIREMENTS)
    with tarfile.open(made) as tar:
        names = tar.getnames()
        libraries = [name for name in names if ".so" in name.rpartition("/")[2]]
        machines = {tar.extractfile(name).read(20)[18:20] for name in libraries if not tar.getmember(name).issym()}
    # ELF e_machine: 0xB7 is AArch64.
    assert machines == {b"\xb7\x00"}
    own = [name for name in libraries if re.search(r"cpython-\d+", name)]
    assert own
    assert all(f"cpython-{python}-aarch64" in name for name in own)
    packages = {name.split("/")[1] for name in names if name.startswith("lib/")}
    assert {"paho", "tuf", "cryptography", "zxingcpp", "PIL", "gpiozero", "msgspec", "nacl"} <= packages
    assert not packages & {"numpy", "lgpio", "hub"}


@pytest.mark.slow
def test_packages_that_are_not_the_ones_of_the_list_are_refused(tmp_path):
    wrong = tmp_path / "wrong.lock"
    wrong.write_text("smbus2==0.6.1 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    with pytest.raises(FirmwareError, match=r"[Hh]ash"):
        build(CHECKOUT, platform="trixie-aarch64", version="1.2.3", into=tmp_path, requirements=wrong)


def test_the_command_takes_the_version_of_the_checkout(tmp_path, capsys):
    assert main(["build", "--platform", "sandbox", "--out", str(tmp_path)]) == 0
    (made,) = tmp_path.iterdir()
    with tarfile.open(made) as tar:
        label = json.load(tar.extractfile("bundle.json"))
    assert made.name == f"gatelight-{label['version']}-sandbox.tar.gz"
    assert made.name in capsys.readouterr().out
    assert gzip.decompress(made.read_bytes())
