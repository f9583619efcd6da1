"""What goes onto a Pi, looked at by the programs that will read it, and by linters where those are not there."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from device.config import load_machine
from device.machinefile import PiHardware

ROOT = Path(__file__).parents[3]
SCRIPTS = ("install.sh", "readonly.sh", "card.sh", "gatelight-device", "units/gatelight-run")
KEYS_OF_CLOUD_INIT = {"hostname", "timezone", "ssh_pwauth", "users", "runcmd", "power_state"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_is_sound(shipped, lint, script):
    shell = "sh" if (shipped / script).read_text().startswith("#!/bin/sh") else "bash"
    assert subprocess.run([shell, "-n", str(shipped / script)], check=False).returncode == 0
    assert (shipped / script).stat().st_mode & 0o111
    assert lint("shellcheck", "-x", shipped / script) == ""


def test_a_second_installation_changes_nothing_and_says_so(script, card):
    assert script("install.sh").count("changed ") > 15
    before = contents(card)
    said = script("install.sh")
    assert "changed " not in said, said
    assert said.count("already ") > 15
    assert contents(card) == before


def test_a_dry_run_writes_nothing(script, card):
    before = contents(card)
    assert script("install.sh", "--dry-run").count("would ") > 15
    assert contents(card) == before


def test_what_a_site_has_configured_is_never_overwritten_and_what_is_ours_is(script, card):
    script("install.sh", "--admin", "10.20.0.0/24")
    etc = card / "etc"
    mine = (
        etc / "gatelight/device.toml",
        etc / "gatelight/firewall.d/site.nft",
        etc / "chrony/sources.d/gatelight.sources",
    )
    for path in mine:
        path.write_text("mine")
    unit = etc / "systemd/system/gatelight-device.service"
    unit.write_text("old")
    said = script("install.sh")
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert "changed  /etc/systemd/system/gatelight-device.service" in said
    assert "changed  /etc/gatelight/" not in said


def test_who_may_come_in_is_said_by_the_installation(script, card):
    assert "ssh is closed" in script("install.sh")
    site = card / "etc/gatelight/firewall.d/site.nft"
    assert not re.search(r"^add element", site.read_text(), flags=re.MULTILINE)
    site.unlink()
    assert "ssh is closed" not in script("install.sh", "--admin", "10.20.0.0/24,10.30.0.7")
    assert "\nadd element inet gatelight admins { 10.20.0.0/24, 10.30.0.7 }\n" in site.read_text()


def test_an_address_that_is_none_is_refused(script, card):
    before = contents(card)
    assert "networks" in script("install.sh", "--admin", "10.0.0.1; reboot", ok=False)
    assert contents(card) == before


def test_whose_releases_it_takes_is_said_by_the_installation(script, card, tmp_path):
    (card / "etc/os-release").write_text('VERSION_ID="13"\n')
    root = tmp_path / "root.json"
    root.write_text('{"signed": {"_type": "root"}}')
    script("install.sh", "--publisher", str(root))
    update = load_machine(card / "etc/gatelight/device.toml").update
    assert (update.platform, update.root) == ("trixie-aarch64", Path("/etc/gatelight/publisher.json"))
    assert (card / "etc/gatelight/publisher.json").read_bytes() == root.read_bytes()
    assert "changed " not in script("install.sh")
    root.write_text("anything")
    assert "no root.json" in script("install.sh", "--publisher", str(root), ok=False)


def test_every_unit_is_put_where_systemd_looks(script, shipped, card):
    script("install.sh")
    units = [path for folder in ("units", "system") for path in (shipped / folder).iterdir()
             if path.suffix in {".service", ".path", ".timer"}]  # fmt: skip
    assert len(units) > 6
    for path in units:
        assert (card / "etc/systemd/system" / path.name).read_bytes() == path.read_bytes()


def test_the_boot_loaders_file_keeps_what_others_wrote(script, card):
    config = card / "boot/firmware/config.txt"
    theirs = config.read_text()
    script("install.sh")
    once = config.read_text()
    assert once.startswith(theirs)
    assert once.count("# gatelight: begin") == once.count("# gatelight: end") == 1
    # A filter that was on before ours does not hold for ours; what the site adds afterwards comes last, and stays.
    assert "[all]" in once.split("# gatelight: begin")[1]
    config.write_text(once.replace("dtparam=strict_gpiod\n", "") + "dtparam=i2c_arm=off\n")
    script("install.sh")
    assert "dtparam=strict_gpiod\n" in config.read_text()
    assert "dtparam=i2c_arm=off\n" in config.read_text()
    assert config.read_text().startswith(theirs)


def test_lines_are_off_from_power_on_where_the_gate_takes_them(shipped):
    pins = PiHardware()
    (line,) = re.findall(r"^gpio=([\d,]+)=ip,pd$", (shipped / "config.txt").read_text(), flags=re.MULTILINE)
    assert {int(bcm) for bcm in line.split(",")} == {pins.relay, pins.red, pins.green, pins.blue, pins.buzzer}


def test_the_shipped_configuration_is_a_blank_gates(shipped):
    machine = load_machine(shipped / "device.toml")
    assert machine.hardware == PiHardware()
    assert machine.state_dir == Path("/var/lib/gatelight")
    assert machine.update is None
    # What is commented out would be taken as well.
    text = re.sub(r"^# (\[|root|platform|kind)", r"\1", (shipped / "device.toml").read_text(), flags=re.MULTILINE)
    assert {"update", "thermometer", "screen"} <= set(tomllib.loads(text))


def test_the_lock_has_the_versions_of_the_checkouts(shipped):
    def versions(path):
        return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", path.read_text(), flags=re.MULTILINE))

    ours, all_of_them = versions(shipped / "requirements.lock"), versions(ROOT / "requirements.lock")
    assert {name: all_of_them.get(name) for name in ours} == ours
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(want for name in ("device", "device-keys", "device-screen")
                                          for want in project["optional-dependencies"][name])]  # fmt: skip
    # The system's: install.sh has them installed.
    names = {re.match(r"[A-Za-z0-9._-]+", want)[0].lower().replace(".", "-") for want in wanted}
    assert names - set(ours) == {"numpy", "lgpio"}, "make lock"
    assert "://" not in (shipped / "requirements.lock").read_text(), "an index is this machine's business"


def test_the_watchdog_asks_for_no_more_than_a_pi_can_count(shipped):
    text = (shipped / "system/watchdog.conf").read_text()
    assert {int(seconds) <= 15 for seconds in re.findall(r"^\w+WatchdogSec=(\d+)s$", text, flags=re.MULTILINE)} == {
        True
    }
    assert len(re.findall("^(Runtime|Reboot)WatchdogSec", text, flags=re.MULTILINE)) == 2


def test_the_clock_is_told_to_the_kernel_which_the_gate_asks(shipped):
    lines = (shipped / "system/chrony.conf").read_text().splitlines()
    assert "rtcsync" in lines
    # Once, and in the beginning: later a clock must not jump.
    assert [line for line in lines if line.startswith("makestep")] == ["makestep 1 3"]


def test_the_first_start_needs_nobody(shipped, lint):
    text = (shipped / "user-data").read_text()
    assert text.startswith("#cloud-config\n"), "cloud-init takes nothing else for its own"
    data = yaml.safe_load(text)
    assert set(data) == KEYS_OF_CLOUD_INIT
    assert data["ssh_pwauth"] is False
    assert all(user["lock_passwd"] for user in data["users"])
    ((shell, options, commands),) = data["runcmd"]
    assert (shell, options) == ("sh", "-exc")
    assert subprocess.run(["sh", "-n", "-c", commands], check=False).returncode == 0
    # What it runs is what we ship.
    assert "--admin" in commands
    assert "deploy/device/install.sh " in commands
    assert "gatelight-readonly on" in commands
    done = data["power_state"]["condition"].removeprefix("test -e ")
    assert commands.rstrip().endswith(f"touch {done}")
    assert lint("yamllint", "-d", "{extends: default, rules: {line-length: {max: 126}, comments: disable, document-start: disable}}",
                shipped / "user-data") == ""  # fmt: skip


def test_the_command_runs_the_release_in_force_as_the_gates_user(shipped, tmp_path):
    """With a `runuser` and an `id` that tell what they were asked."""
    for name, answer in (("runuser", 'echo "$@"'), ("id", "echo root")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    said = subprocess.run(
        ["sh", str(shipped / "gatelight-device"), "status", "--json"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said == ["-u", "gatelight", "--", "/opt/gatelight/bin/gatelight-run", "status", "--json"]


def test_the_commands_in_the_papers_are_the_programs(shipped, script):
    from device.commands import _parser

    (commands,) = (action for action in _parser()._actions if action.choices)
    known = set(commands.choices)
    usage = script("install.sh", "--help")
    for name in ("README.md", "README.zh.md", "guide.md", "guide.zh.md"):
        text = (shipped / name).read_text(encoding="utf-8")
        assert set(re.findall(r"gatelight-device ([a-z][a-z-]+)", text)) <= known, name
        for line in re.findall(r"install\.sh (--.*?)(?:  +#|`|$)", text, flags=re.MULTILINE):
            assert set(re.findall(r"--[a-z]+", line)) <= set(re.findall(r"--[a-z]+", usage)), line


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "guide.md", "guide.zh.md", "parts.md"])
def test_what_the_papers_name_is_there(shipped, name):
    text = (shipped / name).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (shipped / target).exists(), target


def contents(root):
    return {
        path.relative_to(root): (path.stat().st_mode, path.read_bytes()) for path in root.rglob("*") if path.is_file()
    }
