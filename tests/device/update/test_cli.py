"""`gatelight-update` as systemd and people call it."""

import json
import os
import subprocess
import sys

import pytest

from device.logs import Log
from device.update import cli, notes
from device.update.compiled import compile_release
from device.update.notes import Wanted
from device.update.slots import Slots
from device.update.state import STARTS_MAX, State, Store, Trial
from device.update.unpack import unpack
from protocol.release import release_of
from tests.device.update.conftest import bundle


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "device.toml"
    path.write_text(
        f"""
state_dir = "{tmp_path}/state"
[camera]
kind = "people"
socket = "{tmp_path}/camera.sock"
[hardware]
kind = "sim"
[update]
root = "{tmp_path}/root.json"
platform = "sandbox"
firmware_dir = "{tmp_path}/firmware"
""",
        encoding="utf-8",
    )
    (tmp_path / "firmware").mkdir()
    return path


def on_trial(folder, *, starts=0):
    """Release 2000 is in slot a, on trial."""
    unpack(bundle(2000), folder / "a", release=2000, platform="sandbox")
    Slots(folder).point("a")
    trial = Trial(slot="a", release=2000, previous=None, wanted="01", seen="", starts=starts)
    Store(folder).save(State(trial=trial))


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_status_says_what_is_there(config, tmp_path, capsys):
    on_trial(tmp_path / "firmware", starts=1)
    assert cli.main(["status", "--json", "--config", str(config)]) == 0
    said = told(capsys)
    assert (said["in_force"], said["slot"], said["trial"]["starts"]) == (2000, "a", 1)
    assert said["installed"] == cli.installed_release() > 0
    assert cli.main(["status", "--config", str(config)]) == 0
    assert "in_force         2000" in capsys.readouterr().out


def test_a_start_is_counted_and_the_last_one_is_the_way_back(config, tmp_path, capsys):
    on_trial(tmp_path / "firmware")
    for start in range(1, STARTS_MAX + 1):
        assert cli.main(["before-start", "--config", str(config)]) == 0
        assert Store(tmp_path / "firmware").load().trial.starts == start
    assert cli.main(["before-start", "--config", str(config)]) == 0
    assert Store(tmp_path / "firmware").load().trial is None
    assert Slots(tmp_path / "firmware").linked is None
    capsys.readouterr()


@pytest.mark.parametrize("text", [None, "", "[update", "update = 1", "\0" * 100])
def test_no_file_keeps_the_gate_from_starting(config, text, capsys):
    if text is None:
        config.unlink()
    else:
        config.write_text(text, encoding="utf-8")
    assert cli.main(["before-start", "--config", str(config)]) == 0
    assert "gatelight-update: " in capsys.readouterr().err
    assert cli.main(["run", "--config", str(config)]) == cli.UNUSABLE
    assert cli.main(["status", "--config", str(config)]) == cli.UNUSABLE


def test_nor_does_a_folder_in_the_way(config, tmp_path, capsys):
    (tmp_path / "firmware" / "state.json").mkdir()
    assert cli.main(["before-start", "--config", str(config)]) == 0
    assert "gatelight-update: " in capsys.readouterr().err


def test_a_machine_that_takes_no_releases_says_so(config, capsys):
    config.write_text(config.read_text(encoding="utf-8").partition("[update]")[0], encoding="utf-8")
    assert cli.main(["run", "--config", str(config)]) == cli.UNUSABLE
    assert "there is no [update]" in capsys.readouterr().err


def test_a_machine_that_belongs_to_no_site_cannot_fetch(config, tmp_path, capsys):
    path = notes.wanted_file(tmp_path / "state")
    path.parent.mkdir(parents=True)
    notes.write(path, Wanted(release=999_999_999, id="01"))
    config.write_text(config.read_text(encoding="utf-8") + "fetch_s = 1\n", encoding="utf-8")
    assert cli.main(["run", "--config", str(config)]) == 0
    capsys.readouterr()
    assert cli.main(["status", "--json", "--config", str(config)]) == 0
    assert told(capsys)["failed"] == {"release": 999_999_999, "failure": "unreachable"}


@pytest.mark.slow
def test_one_that_lies_in_a_slot_does_not_run(config, tmp_path):
    """A release on trial that updates would judge itself."""
    lib = tmp_path / "firmware" / "a" / "lib"
    lib.mkdir(parents=True)
    checkout = cli.__file__.removesuffix("/device/update/cli.py")
    for package in ("device", "protocol"):
        subprocess.run(["cp", "-r", f"{checkout}/{package}", str(lib)], check=True)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "device.update.cli", "run", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(lib)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "run the installed one" in done.stderr) == (cli.UNUSABLE, True)


@pytest.mark.parametrize("command", ["false", "no-such-program", "'", "sh -c 'exit 3'"])
def test_a_restart_that_fails_is_told_and_no_more(command, lines):
    cli._restart(command, Log(lines))
    assert len(lines.named("restart_failed")) == 1


def test_the_installed_release_is_that_of_the_version(monkeypatch):
    monkeypatch.setattr(cli, "version", lambda _: "1.2.3")
    assert cli.installed_release() == release_of("1.2.3")
    monkeypatch.setattr(cli, "version", lambda _: "1.2.3.dev4")
    assert cli.installed_release() == 0


def test_a_release_is_compiled_and_what_cannot_be_stays(tmp_path):
    (tmp_path / "good.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "bad.py").write_text("x =\n", encoding="utf-8")
    compile_release(tmp_path)
    compiled = [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")]
    assert compiled == ["good"]
    (made,) = tmp_path.rglob("*.pyc")
    # PEP 552: bit 0 says hash, bit 1 that it is compared with the source.
    assert made.read_bytes()[4] == 0b01
