"""The shipped units, looked at by systemd's own tools without a running systemd: `make hil` runs them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted([*(DEPLOY / "device/units").glob("*.*"), *(DEPLOY / "hub/units").rglob("*.*")])
SERVICES = [path for path in UNITS if path.suffix == ".service"]
KINDS = {".service", ".path", ".timer"}
EXPOSURE_TENTHS = 20
"""As `systemd-analyze security` counts, of 100."""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="NO systemd-analyze: no unit was looked at. Install `systemd`."
)


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_both_have_units():
    assert {"gatelight-device.service", "gatelight-hub.service"} <= {path.name for path in SERVICES}


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_may_do_little(path):
    code, said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", path)
    assert code == 0, said


def test_the_measure_finds_one_that_may_do_much(tmp_path):
    path = tmp_path / "open.service"
    path.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    code, _ = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", path)
    assert code != 0


@pytest.fixture
def brokers(tmp_path):
    """A broker's unit that allows everything, with our drop-in beside it."""
    shutil.copytree(DEPLOY / "hub/units/mosquitto.service.d", tmp_path / "mosquitto.service.d")
    path = tmp_path / "mosquitto.service"
    path.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    return path


def test_a_broker_may_do_little(brokers):
    code, said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", brokers)
    assert code == 0, said


def slips(path):
    _, said = analyze("verify", "--man=no", path)
    # Programs and their documentation are not installed here; everything else that it says is a slip of ours.
    return [line for line in said.splitlines() if not re.search(r"Command \S+ is not executable", line)]


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix in KINDS], ids=lambda path: path.name)
def test_every_line_is_known_to_systemd(path):
    assert slips(path) == []


def test_every_line_for_the_broker_is_known_to_systemd(brokers):
    assert slips(brokers) == []


def test_a_slip_is_found(brokers):
    with (brokers.parent / "mosquitto.service.d/gatelight.conf").open("a", encoding="utf-8") as file:
        file.write("Restrat=always\n")
    assert [line for line in slips(brokers) if "Restrat" in line]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_no_core_is_kept_and_nothing_runs_with_rights_that_it_could_give_up(path):
    text = path.read_text(encoding="utf-8")
    assert "LimitCORE=0" in text
    assert "NoNewPrivileges=yes" in text
