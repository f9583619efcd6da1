import json
from pathlib import Path

import pytest

from device.config import (
    ConfigError,
    PeopleCameraConfig,
    PiHardware,
    SimHardware,
    in_force,
    load,
    load_wiring,
)

WHOLE = """
device_id = "00112233445566aa"
place = "mall-1"
gate = "north"
state_dir = "state"
[keys]
signing = "device.key"
hub = "hub.pub"
root = "/etc/root.pub"
[trust]
bundle = "trust.cose"
[broker]
host = "broker.example"
ca = "ca.pem"
cert = "device.pem"
key = "device.key.pem"
[camera]
kind = "people"
socket = "camera.sock"
[hardware]
kind = "sim"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "device.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file_is_taken_with_its_defaults(tmp_path):
    config = load(written(tmp_path, WHOLE))
    assert config.device == bytes.fromhex("00112233445566aa")
    assert config.keys.signing == tmp_path / "device.key", "relative to the file"
    assert config.keys.root == Path("/etc/root.pub")
    assert isinstance(config.camera, PeopleCameraConfig)
    assert config.decoder.engine == "zxing"
    assert config.broker.port == 8883
    assert config.policy.enabled


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('place = "mall-1"', 'place = "mall/1"', "$.place"),
        ('place = "mall-1"', 'place = ""', "$.place"),
        ('device_id = "00112233445566aa"', 'device_id = "0011"', "$.device_id"),
        ('gate = "north"', 'gate = "north"\nbarrier = 1', "barrier"),
        ('kind = "sim"', 'kind = "sim"\nrelay = 3', "relay"),
        ('kind = "sim"', 'kind = "robot"', "robot"),
        ('kind = "people"\nsocket = "camera.sock"', 'kind = "pi"\nsocket = "camera.sock"', "socket"),
        ('host = "broker.example"', 'host = "b"\nport = 70000', "$.broker.port"),
        ('host = "broker.example"\n', "", "host"),
        ('kind = "sim"', 'kind = "sim"\n[policy]\nopen_ms = 0', "$.policy.open_ms"),
        ('kind = "sim"', 'kind = "sim"\n[decoder]\nengine = "opencv"', "$.decoder.engine"),
        ('kind = "sim"', 'kind = "pi"\nrelay = 40', "$.hardware.relay"),
        ("[keys]", "[keys", "device.toml"),
        ('signing = "device.key"', "signing = 7", "$.keys.signing"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, old, new, named):
    assert old in WHOLE
    with pytest.raises(ConfigError, match=r"device\.toml") as raised:
        load(written(tmp_path, WHOLE.replace(old, new)))
    assert named in str(raised.value)


def test_hostile_files_are_errors_not_crashes(tmp_path):
    path = tmp_path / "device.toml"
    for data in (b"\xff\xfe\x00", b"a=" * 5000, b"[[[[", b"x = " + b"[" * 3000, b"#" * 70_000):
        path.write_bytes(data)
        with pytest.raises(ConfigError):
            load(path)
    with pytest.raises(ConfigError):
        load(tmp_path / "absent.toml")


def test_what_is_in_force_is_shown_with_every_default(tmp_path):
    shown = json.loads(in_force(load(written(tmp_path, WHOLE))))
    assert shown["policy"]["light_ms"] == 3000
    assert shown["camera"]["kind"] == "people"
    assert shown["keys"]["signing"] == str(tmp_path / "device.key")


def test_the_default_pins_do_not_clash():
    from device.parts import pins

    assert pins(PiHardware()).relay == 26


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('place = "mall-1"', 'place = "mall-1\\n"', "$.place"),
        ('device_id = "00112233445566aa"', 'device_id = "00112233445566aa\\n"', "$.device_id"),
        ('kind = "sim"', f'kind = "sim"\n[policy]\nversion = {2**63}', "$.policy.version"),
        ('socket = "camera.sock"', 'socket = "camera.sock"\nwidth_px = 1920\nheight_px = 1080', "frame_px_max"),
        ('gate = "north"', f"gate = {'9' * 5000}", "digits"),
    ],
)
def test_what_would_end_the_gate_at_its_first_code_is_refused_at_the_start(tmp_path, old, new, named):
    assert old in WHOLE
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, WHOLE.replace(old, new)))
    assert named in str(raised.value)


def test_wiring_is_read_from_a_file_that_is_no_configuration_any_more(tmp_path):
    broken = '[hardware]\nkind = "pi"\nrelay = 20\nrelay_active_high = false\nblue = 99\nbarrier = 1\n[policy]\nopen_ms = 0\n'
    wiring = load_wiring(written(tmp_path, broken))
    assert wiring == PiHardware(relay=20, relay_active_high=False)
    assert load_wiring(written(tmp_path, '[hardware]\nkind = "sim"\njournal = 7\n')) == SimHardware()
    assert load_wiring(written(tmp_path, "hardware = 3")) == PiHardware()
    assert load_wiring(written(tmp_path, "")) == PiHardware()
    for nothing in ("[hardware", f"x = {'9' * 5000}"):
        with pytest.raises(ConfigError):
            load_wiring(written(tmp_path, nothing))
