"""The shipped units under a real systemd: what starts, what is ended and started again, and what the walls let through.

One machine for all, which boots in a second; the last test is the one that has it boot again.
"""

import json
import os
import re
import time
from contextlib import contextmanager

import pytest

from deploy.hil.mirror import ROOT
from deploy.hil.systemd import site
from deploy.hil.systemd.machine import booted
from deploy.hil.systemd.root import BINDS, CHECKOUT, fresh_root

pytestmark = [pytest.mark.hil, pytest.mark.xdist_group("hil-systemd")]

GATE, HUB, BROKER = "gatelight-device.service", "gatelight-hub.service", "mosquitto.service"
LOG = ROOT / ".artefacts/hil/systemd.log"
DEED = re.compile(r": (About to execute|Main process exited|Control process exited)")
ASK = "import sys, urllib.request as r; a = r.urlopen(sys.argv[1]); print(a.status, a.read().decode())"


@pytest.fixture(scope="module")
def machine():
    with fresh_root() as root:
        installed = site.install(root)
        with booted(root, binds=BINDS, log=LOG) as machine:
            machine.installed = installed
            # Then systemd says what it runs.
            machine.run("systemctl", "log-level", "debug")
            yield machine


@pytest.fixture
def gate(machine):
    """A gate that is well, whatever the test before did to it; its starts are counted anew."""
    heal(machine)
    machine.run("systemctl", "reset-failed", GATE)
    machine.run("systemctl", "start", "--no-block", GATE)
    machine.wait_active(GATE)
    return machine


@pytest.fixture(scope="module")
def hub(machine):
    site.register(machine, machine.installed)
    machine.run("systemctl", "enable", "--quiet", "--now", "--no-block", *site.HUB_ENABLED)
    for unit in (BROKER, HUB):
        machine.wait_active(unit)
    machine.wait("the broker takes the hub", lambda: readiness(machine)["ready"])
    return machine


def heal(machine):
    """Every picture is one again; whoever waits at a pipe in its place is let go."""
    for seed, path in enumerate(machine.installed.pictures):
        if path.is_fifo():
            waiting = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            site.draw(path, seed=seed)
            os.close(waiting)
        elif not path.exists():
            site.draw(path, seed=seed)


def block(path):
    """Whoever opens this picture waits for ever, as at a driver that never returns."""
    begun = path.with_suffix(".pipe")
    os.mkfifo(begun, 0o644)
    begun.replace(path)


def ask(machine, url):
    return machine.run("/opt/gatelight/bin/python3", "-c", ASK, url, fails=True)


def readiness(machine):
    answer = ask(machine, "http://127.0.0.1:8080/readyz").partition(" ")[2]
    return json.loads(answer) if answer else {"ready": False}


def kill(machine, unit, signal):
    machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", unit)


def main_pid(machine, unit=GATE):
    return int(machine.show(unit, "MainPID")["MainPID"])


def restarts(machine, unit=GATE):
    return int(machine.show(unit, "NRestarts")["NRestarts"])


@contextmanager
def restarted(machine):
    """Within: whatever ends the gate. After: it was made safe and started again; yields what the journal said."""
    before, said = restarts(machine), len(machine.journal(GATE))
    news = []
    yield news
    machine.wait("the gate started again", lambda: restarts(machine) > before)
    machine.wait_active(GATE)
    news += machine.journal(GATE)[said:]
    # What systemd itself says of what it runs, in this order.
    ended, safe, made_safe, *_, begun = (line.partition(": ")[2] for line in news if DEED.search(line))
    assert ended.startswith("Main process exited")
    assert safe == "About to execute /opt/gatelight/bin/gatelight-device safe --config /etc/gatelight/device.toml"
    assert made_safe.startswith("Control process exited, code=exited, status=0/SUCCESS")
    assert begun.startswith("About to execute /opt/gatelight/bin/gatelight-run run ")


@contextmanager
def changed(machine, unit, drop_in):
    folder = machine.root / f"run/systemd/system/{unit}.d"
    machine.run("mkdir", "-p", f"/run/systemd/system/{unit}.d")
    machine.run("install", "-m", "644", "/dev/stdin", f"/run/systemd/system/{unit}.d/test.conf", stdin=drop_in)
    machine.run("systemctl", "daemon-reload")
    try:
        yield folder
    finally:
        machine.run("rm", "-r", f"/run/systemd/system/{unit}.d")
        machine.run("systemctl", "daemon-reload")


def probed(machine, unit, python, *folders):
    """What the walls of a shipped unit let through: the same file under another name, with another program in it."""
    name = unit.replace(".service", "-probe.service")
    machine.run("cp", f"/etc/systemd/system/{unit}", f"/run/systemd/system/{name}")
    program = f"{python} {CHECKOUT}/deploy/hil/systemd/probe.py {' '.join(folders)}"
    only = "".join(f"{key}=\n" for key in ("ExecStartPre", "ExecStart", "ExecStopPost"))
    once = f"[Service]\n{only}ExecStart={program}\nType=oneshot\nRestart=no\nWatchdogSec=0\nNotifyAccess=none\n"
    with changed(machine, name, once):
        machine.run("systemctl", "start", name)
    return next(json.loads(line) for line in machine.journal(name) if line.startswith("{"))


def children(machine, pid):
    listed = machine.run("sh", "-c", f"cat /proc/{pid}/task/*/children")
    return [int(one) for one in listed.split()]


def status_of(machine, pid):
    lines = machine.run("cat", f"/proc/{pid}/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_a_gate_comes_up_by_itself_and_nothing_failed(gate):
    assert "ready" in [event["event"] for event in gate.events(GATE)]
    assert gate.run("systemctl", "--failed", "--no-legend") == ""
    assert gate.run("systemctl", "is-enabled", *site.ENABLED).split() == ["enabled"] * len(site.ENABLED)


def test_active_means_that_a_frame_was_decoded(gate):
    gate.run("systemctl", "stop", GATE)
    said = len(gate.events(GATE))
    block(gate.installed.pictures[0])
    gate.run("systemctl", "start", "--no-block", GATE)
    gate.wait("the gate has begun", lambda: "started" in [one["event"] for one in gate.events(GATE)[said:]])
    assert gate.show(GATE, "ActiveState", "Type") == {"ActiveState": "activating", "Type": "notify"}
    assert "ready" not in [one["event"] for one in gate.events(GATE)[said:]]
    heal(gate)
    gate.wait_active(GATE)
    assert "ready" in [one["event"] for one in gate.events(GATE)[said:]]


def test_nobody_waits_for_the_clock_to_be_set(gate):
    """As where chrony-wait or systemd-time-wait-sync is enabled and the network is down."""
    never = (
        "[Unit]\nDefaultDependencies=no\nBefore=time-sync.target\nWants=time-sync.target\n"
        "[Service]\nType=oneshot\nExecStart=sleep infinity\nSuccessExitStatus=SIGTERM\n"
    )
    gate.run("install", "-m", "644", "/dev/stdin", "/run/systemd/system/never-set.service", stdin=never)
    gate.run("systemctl", "stop", GATE)
    gate.run("systemctl", "start", "--no-block", "never-set.service")
    try:
        gate.run("systemctl", "start", "--no-block", GATE)
        gate.wait_active(GATE)
        assert gate.show("time-sync.target", "ActiveState") == {"ActiveState": "inactive"}
        assert gate.show("never-set.service", "ActiveState") == {"ActiveState": "activating"}
    finally:
        gate.run("systemctl", "stop", "never-set.service")
    after = gate.show(GATE, "After")["After"].split()
    # Whoever may set the clock starts first all the same.
    assert {"time-set.target", "chrony.service", "systemd-timesyncd.service"} <= set(after)


def test_a_camera_that_stalls_restarts_the_gate_though_its_process_lives(gate):
    pid = main_pid(gate)
    with restarted(gate) as said:
        stalled_s = time.monotonic()
        block(gate.installed.pictures[1])
        gate.wait("it died", lambda: main_pid(gate) != pid, within_s=40)
        lived_s = time.monotonic() - stalled_s
        heal(gate)
    # It lived on, until systemd ended it: the gate itself had noticed nothing.
    assert lived_s > 7
    assert any("Watchdog timeout" in line for line in said)
    assert any(line.endswith("status=6/ABRT") for line in said if "Main process exited" in line)
    assert not any('"event":"failed"' in line for line in said)
    # Which thread hung, and where.
    assert any("pictures.py" in line for line in said)


IMPATIENT = "[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n"


def test_a_process_that_hangs_altogether_is_restarted(gate, hub):
    """The hub hangs at the same time, to wait only once; for less than the ten seconds that the stall above has shown."""
    with changed(gate, GATE, IMPATIENT), changed(hub, HUB, IMPATIENT):
        gate.run("systemctl", "restart", GATE, HUB)
        hub_restarts = restarts(hub, HUB)
        with restarted(gate) as said:
            kill(hub, HUB, "STOP")
            kill(gate, GATE, "STOP")
        assert any("Watchdog timeout" in line for line in said)
        hub.wait("the hub started again", lambda: restarts(hub, HUB) > hub_restarts, within_s=60)
    assert any("Watchdog timeout" in line for line in hub.journal(HUB))
    hub.wait_active(HUB)
    hub.wait("the broker takes the hub again", lambda: readiness(hub)["ready"])


@pytest.mark.parametrize("signal", ["KILL", "SEGV"])
def test_a_gate_that_dies_is_made_safe_and_started_again(gate, signal):
    with restarted(gate) as said:
        kill(gate, GATE, signal)
    assert any(line.endswith(f"/{signal}") for line in said if "Main process exited" in line)


def test_what_a_gate_leaves_behind_is_there_until_it_was_made_safe(gate):
    """Simulated parts leave nothing behind. Here it is a relay, which this machine without pins cannot switch."""
    mine = ("-m", "600", "-o", "gatelight", "-g", "gatelight")
    gate.run("install", *mine, "/dev/stdin", "/run/gatelight/off", stdin="26 0\n")
    before, said = restarts(gate), len(gate.journal(GATE))
    kill(gate, GATE, "KILL")
    gate.wait("the gate started again", lambda: restarts(gate) > before)
    gate.wait_active(GATE)
    assert any("no GPIO header" in line for line in gate.journal(GATE)[said:])
    # The next one begins in a folder of its own.
    assert "off" not in gate.run("ls", "/run/gatelight").split()


QUICK = "[Service]\nRestartSec=100ms\n"
"""Seven deaths within the ten seconds in which systemd by itself would give up after five."""


def test_a_gate_never_stays_down(gate):
    """Without pictures it ends by itself, again and again; systemd's own limit would be five times."""
    said = len(gate.events(GATE))
    with changed(gate, GATE, QUICK):
        before = restarts(gate)
        for path in gate.installed.pictures:
            path.unlink()
        gate.wait("seven restarts", lambda: restarts(gate) >= before + 7, within_s=60)
    failures = [one for one in gate.events(GATE)[said:] if one["event"] == "failed"]
    assert failures
    assert all(one["error"].startswith("CameraLostError") for one in failures)
    heal(gate)
    gate.wait_active(GATE)


def test_state_is_the_gates_alone_and_outlives_a_restart(gate):
    def look():
        return gate.run("stat", "-c", "%U:%G %a", "/var/lib/gatelight"), gate.run(
            "stat", "-c", "%U %a %i", "/var/lib/gatelight/spool.db"
        )

    before = look()
    assert before[0] == "gatelight:gatelight 700\n"
    assert before[1].startswith("gatelight 600 ")
    epoch = json.loads(spool(gate))["epoch"]
    with restarted(gate):
        kill(gate, GATE, "KILL")
    assert look() == before
    assert json.loads(spool(gate))["epoch"] == epoch


def spool(machine):
    command = ("/opt/gatelight/bin/gatelight-device", "spool", "--json", "--config", "/etc/gatelight/device.toml")
    return machine.run("runuser", "-u", "gatelight", "--", *command)


EVERYWHERE = ("/", "/etc", "/usr", "/opt/gatelight", "/home", "/root", "/boot", "/var/lib", "/var/log", "/srv", "/tmp")


def test_the_gate_has_its_walls(gate):
    writable = {"/var/lib/gatelight", "/var/lib/gatelight-tpm", "/run/gatelight", "/tmp"}
    folders = (*EVERYWHERE, "/etc/gatelight", "/var/lib/gatelight-firmware", *writable)
    gate.run("systemctl", "stop", GATE)
    # Where the database of a TPM's keys lies, if there is one.
    gate.run("install", "-d", "-m", "700", "-o", "gatelight", "/var/lib/gatelight-tpm")
    got = probed(gate, GATE, "/opt/gatelight/bin/python3", *folders)
    gate.run("systemctl", "start", GATE)
    assert_walls(got, writable=writable)
    users = gate.run("getent", "group", "gatelight", "gpio", "video", "i2c", "audio").splitlines()
    assert got["groups"] == sorted(int(line.split(":")[2]) for line in users)
    assert got["user"] == int(gate.run("id", "-u", "gatelight"))
    assert got["write"]["/etc/gatelight"] == "EROFS"
    # State holds no programs.
    assert got["run_from"]["/var/lib/gatelight"] == got["run_from"]["/var/lib/gatelight-tpm"] == "EACCES"
    assert (got["network"], got["ask_the_clock"]) == (None, None)


def assert_walls(got, *, writable, capabilities="0" * 16):
    assert {folder for folder, stopped in got["write"].items() if stopped is None} == writable
    assert {got["status"][key] for key in ("CapBnd", "CapEff", "CapAmb")} == {capabilities}
    assert (got["status"]["NoNewPrivs"], got["status"]["Seccomp"]) == ("1", "2")
    assert re.search(r"Max core file size\s+0\s+0\s", got["limits"])
    assert not got["sees_the_first_process"]
    # What others keep there is another folder's.
    assert got["see"]["/tmp"] == []
    refused = ("set_the_clock", "make_code_of_data", "make_a_namespace", "mount", "load_a_module")
    assert {name: got[name] for name in refused} == dict.fromkeys(refused, "EPERM")
    assert got["packets"] == "EAFNOSUPPORT"


def test_the_decoder_has_no_network_and_a_cage_of_its_own(gate):
    gate.run("systemctl", "stop", GATE)
    jail = probed(gate, GATE, "/opt/gatelight/bin/python3")["jail"]
    gate.run("systemctl", "start", GATE)
    assert jail.pop("take_all_memory") == "ENOMEM"
    assert jail == dict.fromkeys(jail, "EPERM")
    assert "open_a_socket" in jail
    # The very children of the gate that runs have one filter more than their parent.
    pid = main_pid(gate)
    gate.wait("decoder and its spare", lambda: len(children(gate, pid)) == 2)

    def caged():
        parent = int(status_of(gate, pid)["Seccomp_filters"])
        return [int(status_of(gate, child)["Seccomp_filters"]) > parent for child in children(gate, pid)]

    gate.wait("both are caged", lambda: caged() == [True, True])


UNITS = (GATE, "gatelight-update.service", "gatelight-update-restart.service", HUB, "gatelight-hub-backup.service")


@pytest.mark.parametrize("unit", [*UNITS, BROKER])
def test_exposure(machine, unit):
    """systemd's own judgement, by what is in force; 20 is 2.0. It ends with an error when it is worse."""
    told = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", told).group(1)) <= 2.0


def test_nothing_in_the_units_is_unknown_to_systemd(machine):
    files = [f"/etc/systemd/system/{unit}" for unit in (*UNITS, *site.ENABLED, *site.HUB_ENABLED) if unit != BROKER]
    machine.run("systemd-analyze", "verify", "--man=no", *files)
    assert not [line for line in machine.run("journalctl", "-b", "-o", "cat").splitlines() if "Unknown key" in line]


SLOT = '#!/bin/sh\nGATELIGHT_SLOT=a exec /opt/gatelight/bin/gatelight-device "$@"\n'


@contextmanager
def slot(machine, program):
    """A release in the slot `a` that is in force, put there as the updater does."""
    firmware = "/var/lib/gatelight-firmware"
    as_updater = ("runuser", "-u", "gatelight-update", "--")
    machine.run(*as_updater, "mkdir", "-p", f"{firmware}/a/bin")
    mine = ("-m", "755", "-o", "gatelight-update", "-g", "gatelight-update")
    machine.run("install", *mine, "/dev/stdin", f"{firmware}/a/bin/gatelight-device", stdin=program)
    machine.run(*as_updater, "ln", "-sfn", "a", f"{firmware}/current")
    try:
        yield
    finally:
        machine.run("rm", "-rf", f"{firmware}/current", f"{firmware}/a")


def environment(machine):
    return machine.run("cat", f"/proc/{main_pid(machine)}/environ").split("\0")


FIRMWARE = "/var/lib/gatelight-firmware"


def updates(machine):
    """What the updater says of itself."""
    command = ("/opt/gatelight/bin/gatelight-update", "status", "--json", "--config", "/etc/gatelight/device.toml")
    return json.loads(machine.run(*command))


def test_the_release_in_force_is_the_main_process_and_its_starts_are_counted_by_the_updater(gate):
    assert "GATELIGHT_SLOT=a" not in environment(gate)
    trial = {"slot": "a", "release": 2000, "previous": None, "wanted": "01", "seen": ""}
    with slot(gate, SLOT):
        mine = ("-m", "644", "-o", "gatelight-update", "-g", "gatelight-update")
        gate.run("install", *mine, "/dev/stdin", f"{FIRMWARE}/state.json", stdin=json.dumps({"trial": trial}))
        gate.run("systemctl", "restart", GATE)
        assert "GATELIGHT_SLOT=a" in environment(gate)
        assert updates(gate)["trial"]["starts"] == 1
        assert gate.run("stat", "-c", "%U", f"{FIRMWARE}/state.json") == "gatelight-update\n"
        gate.run("rm", f"{FIRMWARE}/state.json")
    gate.run("systemctl", "restart", GATE)


RESTART = "gatelight-update-restart"


def tell_to_restart(machine):
    """As the updater does; until systemd has heard it, and listens again."""

    def served():
        return machine.show(f"{RESTART}.service", "InvocationID", "ActiveState")

    before = served()
    machine.run("runuser", "-u", "gatelight-update", "--", "touch", f"{FIRMWARE}/restart")
    machine.wait("it was heard", lambda: served()["InvocationID"] != before["InvocationID"])
    machine.wait("it was done", lambda: served()["ActiveState"] == "inactive", within_s=10)
    machine.wait("it is listened again", lambda: machine.show(f"{RESTART}.path", "SubState")["SubState"] == "waiting")


def test_the_updaters_word_starts_the_gate_anew_also_one_that_is_not_ready(gate):
    """Seven times, where systemd's own limit would be five; each while the gate still waits for its first frame."""
    block(gate.installed.pictures[0])
    gate.run("systemctl", "restart", "--no-block", GATE)
    for _ in range(7):
        gate.wait("a process", lambda: main_pid(gate) != 0)
        pid = main_pid(gate)
        tell_to_restart(gate)
        gate.wait("another process", lambda: main_pid(gate) not in {0, pid})  # noqa: B023
        assert gate.show(GATE, "ActiveState") == {"ActiveState": "activating"}
    heal(gate)
    gate.wait_active(GATE)


def test_a_gate_that_somebody_stopped_stays_stopped(gate):
    gate.run("systemctl", "stop", GATE)
    tell_to_restart(gate)
    assert gate.show(GATE, "ActiveState", "Job") == {"ActiveState": "inactive", "Job": ""}
    gate.run("systemctl", "start", GATE)


def test_a_release_that_cannot_be_run_leaves_the_installed_one(gate):
    with slot(gate, ""):
        gate.run("systemctl", "restart", GATE)
        assert "GATELIGHT_SLOT=a" not in environment(gate)


def test_a_release_goes_all_the_way_from_the_operators_command(gate, hub):
    """Published, mirrored, ordered, fetched, tried and confirmed, each by its own unit and user."""
    hub.wait("the gate has a link", lambda: "link_up" in [one["event"] for one in hub.events(GATE)])
    publisher = gate.installed.publisher
    publisher.release("0.2.0")
    published = f"/{publisher.published.relative_to(gate.root)}"
    by_hub = ("runuser", "-u", "gatelight-hub", "--", "/opt/gatelight-hub/bin/gatelight-hub")
    config = ("--config", "/etc/gatelight-hub/hub.toml")
    hub.run(*by_hub, "firmware", "import", published, "--root", f"{published}/metadata/1.root.json", *config)
    order = ("command", "send", "--device", gate.installed.device_id, "update", "--version", "0.2.0", "--wait", "20")
    hub.run(*by_hub, *order, *config)
    gate.wait("the release is confirmed", lambda: updates(gate)["floor"] == 2000, within_s=60)
    assert (updates(gate)["slot"], updates(gate)["in_force"]) == ("a", 2000)
    assert f"PYTHONPATH={FIRMWARE}/a/lib" in environment(gate)
    assert gate.run("stat", "-c", "%U", f"{FIRMWARE}/a/lib/device/gate.py") == "gatelight-update\n"
    # A second release that cannot start: back by itself, and the gate is there all the same.
    publisher.release("0.3.0", slip='raise RuntimeError("a slip that nobody noticed")')
    hub.run(*by_hub, "firmware", "import", published, *config)
    hub.run(*by_hub, *order[:-3], "0.3.0", *order[-2:], *config)
    gate.wait("it has gone back", lambda: (updates(gate)["failed"] or {}).get("release") == 3000, within_s=60)
    gate.wait_active(GATE)
    assert f"PYTHONPATH={FIRMWARE}/a/lib" in environment(gate)
    # Nor did the release that failed take a unit down with it.
    assert gate.run("systemctl", "--failed", "--no-legend") == ""


def test_the_updater_has_its_walls(gate):
    mine = ("-m", "700", "-o", "gatelight", "-g", "gatelight")
    gate.run("install", "-d", *mine, "/var/lib/gatelight/update")
    gate.run("install", *mine, "/dev/null", "/var/lib/gatelight/update/healthy.json")
    firmware = "/var/lib/gatelight-firmware"
    folders = (*EVERYWHERE, "/etc/gatelight", "/var/lib/gatelight", "/var/lib/gatelight/update", firmware)
    got = probed(gate, "gatelight-update.service", "/opt/gatelight/bin/python3", *folders)
    # Reads what is another's, for which it has one capability: CAP_DAC_READ_SEARCH.
    assert_walls(got, writable={firmware, "/tmp"}, capabilities=f"{1 << 2:016x}")
    # But of the gate's folder only this: neither keys nor records.
    assert set(got["see"]["/var/lib/gatelight"]) <= {"update", "site"}
    assert "healthy.json" in got["see"]["/var/lib/gatelight/update"]
    assert got["write"]["/etc/gatelight"] == got["write"]["/var/lib/gatelight/update"] == "EROFS"
    assert got["network"] is None
    pid = main_pid(gate)
    gate.run("runuser", "-u", "gatelight-update", "--", "systemctl", "restart", GATE, fails=True)
    assert main_pid(gate) == pid


def test_the_hub_works_in_its_walls(hub):
    assert hub.show(HUB, "Type", "ActiveState") == {"Type": "notify", "ActiveState": "active"}
    assert ask(hub, "http://127.0.0.1:8445/").startswith("200 ")
    hub.wait("the gate has a link", lambda: "link_up" in [one["event"] for one in hub.events(GATE)])
    assert hub.run("stat", "-c", "%U:%G %a", "/var/lib/gatelight-hub") == "gatelight-hub:gatelight-hub 700\n"
    folders = (*EVERYWHERE, "/etc/gatelight-hub", "/var/lib/gatelight-hub")
    got = probed(hub, HUB, "/opt/gatelight-hub/bin/python3", *folders)
    assert_walls(got, writable={"/var/lib/gatelight-hub", "/tmp"})
    assert got["run_from"]["/var/lib/gatelight-hub"] == "EACCES"
    assert got["write"]["/etc/gatelight-hub"] == "EROFS"
    assert (got["network"], got["ask_the_clock"]) == (None, None)
    assert {"mosquitto.service", "time-sync.target"} <= set(hub.show(HUB, "After")["After"].split())


def test_hub_and_broker_never_stay_down(hub):
    """Both at the same time, to wait only once; systemd's own limit would be five."""
    with changed(hub, HUB, QUICK), changed(hub, BROKER, QUICK):
        before = {unit: restarts(hub, unit) for unit in (HUB, BROKER)}
        for number in range(1, 8):
            pids = {unit: main_pid(hub, unit) for unit in before}
            for unit in before:
                kill(hub, unit, "KILL")
            for unit, first in before.items():
                hub.wait(f"{unit} started again", lambda: restarts(hub, unit) >= first + number)  # noqa: B023
                hub.wait("it has a process", lambda: main_pid(hub, unit) not in {0, pids[unit]})  # noqa: B023
    for unit in before:
        hub.wait_active(unit)
    hub.wait("the broker takes the hub again", lambda: readiness(hub)["ready"])


def test_the_broker_is_not_root(hub):
    assert hub.run("stat", "-c", "%U", f"/proc/{main_pid(hub, BROKER)}") == "mosquitto\n"


def test_a_backup_is_made_by_its_unit(hub):
    hub.run("systemctl", "start", "gatelight-hub-backup.service")
    made = hub.run("sh", "-c", "stat -c '%U %a' /var/backups/gatelight-hub /var/backups/gatelight-hub/*")
    assert made.splitlines() == ["gatelight-hub 700", "gatelight-hub 600"]
    assert hub.show("gatelight-hub-backup.timer", "ActiveState") == {"ActiveState": "active"}


def test_sixty_starts_in_vain_restart_the_machine(gate):
    """With a limit of three, for nobody waits for sixty here."""
    assert gate.show(GATE, "StartLimitAction", "StartLimitBurst") == {
        "StartLimitAction": "reboot",
        "StartLimitBurst": "60",
    }
    # Where it does not outlive the boot.
    gate.run("mkdir", "-p", f"/run/systemd/system/{GATE}.d")
    less = f"[Unit]\nStartLimitBurst=3\n{QUICK}"
    gate.run("install", "-m", "644", "/dev/stdin", f"/run/systemd/system/{GATE}.d/test.conf", stdin=less)
    gate.run("systemctl", "daemon-reload")
    for path in gate.installed.pictures:
        path.unlink()
    assert gate.wait_end()
