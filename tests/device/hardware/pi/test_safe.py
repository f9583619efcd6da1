"""What is decided, on a FAKE kernel; what a real one makes of it is seen by `make hil`, from outside of an emulated Pi."""

import errno
import struct
import subprocess
import sys

import pytest

from device.hardware.pi import safe
from device.machinefile import PiHardware
from device.parts import pins

LAMPS_OFF = [(5, 0), (6, 0), (13, 0), (12, 0)]


@pytest.fixture
def kernel(monkeypatch):
    """Which lines were claimed at which level, in order; `kernel.busy` are somebody else's."""

    class Kernel:
        claimed, busy = [], set()

        def ioctl(self, chip, request, argument):
            assert chip == 7
            assert request == 0xC250B407, "GPIO_V2_GET_LINE_IOCTL"
            assert len(argument) == 592, "struct gpio_v2_line_request"
            pin = struct.unpack_from("=I", argument)[0]
            flags, attributes = struct.unpack_from("=QI", argument, 288)
            kind, _, values, mask = struct.unpack_from("=IIQQ", argument, 320)
            assert (flags, attributes, kind, mask, struct.unpack_from("=I", argument, 560)[0]) == (8, 1, 2, 1, 1)
            if pin in self.busy:
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.claimed.append((pin, values))

    made = Kernel()
    made.claimed, made.busy = [], set()
    monkeypatch.setattr(safe.fcntl, "ioctl", made.ioctl)
    monkeypatch.setattr(safe, "open_header", lambda: 7)
    return made


@pytest.fixture
def run(tmp_path):
    def main(text):
        path = tmp_path / "device.toml"
        if text is not None:
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        return safe.main(["--config", str(path)])

    return main


@pytest.mark.parametrize(
    ("wiring", "driven"),
    [
        ('kind = "pi"', [(26, 0), *LAMPS_OFF]),
        ('kind = "pi"\nrelay_active_high = false', [(26, 1), *LAMPS_OFF]),
        ('kind = "pi"\nlights_active_high = false', [(26, 0), (5, 1), (6, 1), (13, 1), (12, 0)]),
        ('kind = "pi"\nrelay_active_high = false\n[policy]\nopen_ms = 0', [(26, 1), *LAMPS_OFF]),
        ('kind = "pi"\nrelay = 20\nrelay_active_high = false\nblue = 99\nbarrier = 1', [(20, 1), *LAMPS_OFF]),
        ('kind = "pi"\nrelay = true\nred = "5"\ngreen = 6.0', [(26, 0), *LAMPS_OFF]),
        ('kind = "pi"\nrelay_active_high = 0', [(26, 0), *LAMPS_OFF]),
        ('kind = "pi"\nrelay = 20\nrelay_active_high = false\nred = 6', [(20, 1)]),
        ('kind = "sim"', []),
        ('kind = "sim"\njournal = 7\n[policy]\nopen_ms = 0', []),
    ],
)
def test_the_relay_goes_first_by_whatever_of_the_file_can_be_read(run, kernel, wiring, driven):
    assert run(f"[hardware]\n{wiring}\n") == 0
    assert kernel.claimed == driven


@pytest.mark.parametrize("text", [None, "", "hardware = 3", "[hardware", f"x = {'9' * 5000}", b"\xff\xfe", "[" * 9000])
def test_without_a_file_that_can_be_read_it_takes_the_default_pins(run, kernel, text, capsys):
    assert run(text) == 0
    assert kernel.claimed == [(26, 0), *LAMPS_OFF]
    assert ("default pins" in capsys.readouterr().err) is (text not in ("", "hardware = 3"))


def test_its_defaults_are_the_configurations():
    wired = pins(PiHardware())
    assert safe.off_levels({}) == [(pin, int(level)) for pin, level in wired.off_levels()]
    inverted = PiHardware(relay_active_high=False, lights_active_high=False, relay=20)
    table = {"relay_active_high": False, "lights_active_high": False, "relay": 20}
    assert safe.off_levels(table) == [(pin, int(level)) for pin, level in pins(inverted).off_levels()]


def test_what_the_gate_left_behind_counts_more_than_a_file_that_was_changed_since(run, kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    wired = pins(PiHardware(relay=20, relay_active_high=False))
    safe.leave((pin, int(level)) for pin, level in wired.off_levels())
    assert run('[hardware]\nkind = "sim"\n') == 0
    assert kernel.claimed == [(20, 1), *LAMPS_OFF]


@pytest.mark.parametrize("left", [None, "", "26", "26 0 1", "relay 0", "99 0", "26 2", "-1 0", "٢٦ 0", "\0"])
def test_what_was_left_behind_and_cannot_be_read_does_not_count(run, kernel, tmp_path, monkeypatch, left):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    if left is not None:
        (tmp_path / "off").write_text(left)
    assert run("[hardware]\nrelay = 20\n") == 0
    assert kernel.claimed[0] == (20, 0)


def test_without_a_folder_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    safe.leave([(26, 0)])
    assert safe.left_behind() == []
    assert list(tmp_path.iterdir()) == []


def test_one_dead_line_does_not_keep_the_others_energised(run, kernel, capsys):
    kernel.busy = {26}
    assert run("") == 1
    assert kernel.claimed == LAMPS_OFF
    assert "BCM 26 could not be driven off: Device or resource busy" in capsys.readouterr().err


def test_a_machine_without_a_header_is_said(run, capsys):
    assert run("") == 1
    assert "no GPIO header" in capsys.readouterr().err


def test_it_imports_nothing_that_takes_time():
    """Until it has run a relay may be energised. The whole command, as systemd starts it, on a machine without GPIO."""
    code = "import sys; from device.cli import main; main(['safe', '--config', '/nowhere']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.split(".")[0] in {"device", "protocol"}}
    assert ours == {"device", "device.cli", "device.hardware", "device.hardware.pi", "device.hardware.pi.safe"}
    assert not {"numpy", "msgspec", "gpiozero", "lgpio", "argparse", "typing_extensions"} & set(done.stdout.split())
