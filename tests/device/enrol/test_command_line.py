"""`gatelight-device enrol`, `status` and `check-config`, on a device without a site and with one."""

import json
import sys

import pytest

from device.cli import main
from device.enrol.wipe import begin_wipe
from device.logs import Log
from protocol.enrolment import EnrolmentState, fingerprint_words


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without a site: the path of its device.toml."""
    monkeypatch.setattr("device.commands.stdout_log", lambda: Log(sys.stdout))
    config = tmp_path / "device.toml"
    config.write_text(
        'state_dir = "state"\nserial = "S-7"\n[camera]\nkind = "pi"\n[hardware]\nkind = "sim"\n'
        '[clock]\nsource = "assume"\n[enrolment]\nboot_file = "enrol.json"\n'
    )
    return config


@pytest.fixture
def approving(book, serving, day):
    """A hub that approves at once, whose certificates hold by the clock of the machine that runs this."""
    book.begins -= 900 * day
    book.lifetime_days = 3000
    book.state = EnrolmentState.APPROVED
    return serving(book)


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def status(machine, capsys):
    capsys.readouterr()
    code = main(["status", "--config", str(machine), "--json"])
    return code, said(capsys)[-1]


@pytest.mark.sockets
def test_a_device_is_enrolled_by_a_text(machine, approving, capsys):
    assert main(["enrol", "--config", str(machine), "--code", approving.text()]) == 0
    lines = said(capsys)
    (request,) = approving.requests.values()
    assert request.serial == "S-7"
    assert [line["words"] for line in lines if line["event"] == "fingerprint"] == [
        " ".join(fingerprint_words(request.key))
    ]
    code, about = status(machine, capsys)
    assert code == 0
    assert (about["enrolled"], about["place"], about["gate"]) == (True, "mall-1", "north")
    assert about["words"] == " ".join(fingerprint_words(request.key))
    assert about["certificate_days"] > 90
    assert (about["trust"], about["policy"]) == (1, 1)
    assert main(["check-config", "--config", str(machine)]) == 0
    assert json.loads(capsys.readouterr().out)["keys"]["stored"].startswith("signing-")


@pytest.mark.sockets
def test_a_device_is_enrolled_by_a_file(machine, approving, tmp_path, capsys):
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"code": approving.text()}))
    assert main(["enrol", "--config", str(machine), "--file", str(given)]) == 0
    assert main(["enrol", "--config", str(machine), "--file", str(given)]) == 2
    assert "belongs to a site already" in capsys.readouterr().err


def test_what_cannot_be_taken_is_told(machine, tmp_path, capsys, book):
    assert main(["enrol", "--config", str(machine), "--code", "GLE1:HELLO"]) == 1
    assert "CodeError" in capsys.readouterr().err
    assert main(["enrol", "--config", str(machine), "--code", book.text(expires_s=1)]) == 1
    assert "ended" in capsys.readouterr().err
    assert main(["enrol", "--config", str(machine), "--file", str(tmp_path / "absent.json")]) == 2
    begin_wipe(tmp_path / "state")
    assert main(["enrol", "--config", str(machine), "--code", book.text()]) == 2
    assert "wipe" in capsys.readouterr().err


def test_a_device_without_a_site_says_so(machine, capsys):
    assert status(machine, capsys) == (
        0,
        {"enrolled": False, "enrolment": "none", "wiping": False, "firmware": "0.1.0"},
    )
    assert main(["status", "--config", str(machine)]) == 0
    assert "enrolled         False" in capsys.readouterr().out
    assert main(["check-config", "--config", str(machine)]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["serial"] == "S-7"
    assert "not enrolled" in out.err


@pytest.mark.sockets
@pytest.mark.parametrize(
    "broken", [("chain.pem",), ("hub.cose",), ("trust.cose",), ("policy.cose",), ("chain.pem", "hub.cose")]
)
def test_what_of_a_site_cannot_be_read_is_told_and_the_rest_shown(machine, approving, tmp_path, capsys, broken):
    assert main(["enrol", "--config", str(machine), "--code", approving.text()]) == 0
    for name in broken:
        (tmp_path / "state" / "site" / "current" / name).write_bytes(b"\xff")
    assert main(["status", "--config", str(machine), "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[-1])["place"] == "mall-1"
    assert len(told.err.splitlines()) == len(broken)
