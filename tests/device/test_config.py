import json
from pathlib import Path

import pytest

from device.config import ConfigError, PeopleCameraConfig, PiHardware, in_force, load

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
