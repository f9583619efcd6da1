import json
from pathlib import Path

import pytest

from device import tomlfile
from device.config import (
    ConfigError,
    FileKeys,
    Mlx90614Thermometer,
    NotEnrolledError,
    PeopleCameraConfig,
    PiHardware,
    Pkcs11Keys,
    TpmKeys,
    in_force,
    is_enrolled,
    is_provisioned,
    load,
    load_machine,
)
from device.sitefile import SiteConfig, load_site

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
        ('signing = "device.key"', "", "signing (a file) or stored"),
        ('signing = "device.key"', 'signing = "device.key"\nstored = "a"', "signing (a file) or stored"),
        ('signing = "device.key"', 'stored = "../a"', "$.keys.stored"),
        ('kind = "sim"', 'kind = "sim"\n[hub]\nurl = "http://hub"\nca = "ca.pem"', "$.hub.url"),
        ('kind = "sim"', 'kind = "sim"\n[keystore]\nkind = "pkcs11"\nmodule = "a.so"', "token_label"),
        ('kind = "sim"', 'kind = "sim"\n[thermometer]\nkind = "mlx90614"\naddress = 3', "$.thermometer.address"),
        ('kind = "sim"', 'kind = "sim"\n[enrolment]\nnetwork = "iwd"', "$.enrolment.network"),
        ('place = "mall-1"\n', "", "place"),
        ('gate = "north"', 'gate = "north"\nrenews = "00"', "renews"),
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


def test_a_key_of_thousands_of_parts_is_refused_before_it_is_read(tmp_path):
    """Python's reader takes 4 GB for one of 64 KiB."""
    path = tmp_path / "device.toml"
    path.write_bytes(b"# fine\n" + b"a." * 2500 + b"a = 1\n")
    with pytest.raises(ConfigError, match=r"device\.toml: line 2 has 5005 bytes"):
        load(path)


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
        ('kind = "sim"', f'kind = "sim"\n[policy]\nreuse_s = {2**63}', "$.policy.reuse_s"),
        ('socket = "camera.sock"', 'socket = "camera.sock"\nwidth_px = 1920\nheight_px = 1080', "frame_px_max"),
        ('gate = "north"', f"gate = {'9' * 5000}", "at most 4096"),
    ],
)
def test_what_would_end_the_gate_at_its_first_code_is_refused_at_the_start(tmp_path, old, new, named):
    assert old in WHOLE
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, WHOLE.replace(old, new)))
    assert named in str(raised.value)


BARE = 'state_dir = "state"\n[camera]\nkind = "pi"\n[hardware]\nkind = "sim"\n'


def test_a_machine_without_a_site_is_no_gate_yet(tmp_path):
    path = written(tmp_path, BARE)
    machine = load_machine(path)
    assert not is_enrolled(machine)
    assert not is_provisioned(path)
    assert machine.keystore == FileKeys()
    assert machine.enrolment.boot_file == Path("/boot/firmware/enrol.json")
    assert machine.enrolment.network == "none"
    with pytest.raises(NotEnrolledError, match="not enrolled"):
        load(path)
    assert "place" not in json.loads(in_force(machine))
    assert is_provisioned(written(tmp_path, WHOLE))
    assert load_machine(written(tmp_path, WHOLE)).spool == tmp_path / "state" / "spool.db"


def test_one_table_of_a_site_is_a_site_that_lacks_the_others(tmp_path):
    with pytest.raises(ConfigError, match="device_id"):
        load(written(tmp_path, 'direction = "out"\n' + BARE))


def test_key_stores_and_thermometers_are_described(tmp_path):
    given = '[keystore]\nkind = "pkcs11"\nmodule = "/lib/p11.so"\ntoken_label = "gate"\npin_file = "pin"\n'
    machine = load_machine(written(tmp_path, BARE + given + '[thermometer]\nkind = "mlx90614"\nbus = 3\n'))
    assert machine.keystore == Pkcs11Keys(module=Path("/lib/p11.so"), token_label="gate", pin_file=tmp_path / "pin")
    assert machine.thermometer == Mlx90614Thermometer(bus=3)
    tpm = '[keystore]\nkind = "tpm"\nstore = "tpm2"\npin_file = "pin"\n'
    found = load_machine(written(tmp_path, BARE + tpm)).keystore
    assert found == TpmKeys(store=tmp_path / "tpm2", pin_file=tmp_path / "pin")


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('kind = "tpm"\nstore = "state/tpm2"\npin_file = "pin"', "state/tpm2 lies in state_dir"),
        ('kind = "tpm"\nstore = "tpm2"\npin_file = "state/pin"', "state/pin lies in state_dir"),
        (
            'kind = "pkcs11"\nmodule = "/p11.so"\ntoken_label = "gate"\npin_file = "state/pin"',
            "state/pin lies in state_dir",
        ),
        ('kind = "pkcs11"\nmodule = "/p11.so"\ntoken_label = "' + "x" * 33 + '"\npin_file = "pin"', "token_label"),
        ('kind = "tpm"\npin_file = "pin"', "store"),
    ],
)
def test_a_token_that_could_not_be_used_or_not_survive_a_wipe_is_refused(tmp_path, table, named):
    with pytest.raises(ConfigError) as raised:
        load_machine(written(tmp_path, BARE + f"[keystore]\n{table}\n"))
    assert named in str(raised.value)


def test_an_enrolled_machine_has_its_site_in_a_folder_of_its_own(tmp_path):
    site_tables = WHOLE.partition("[camera]")[0].replace('state_dir = "state"\n', "")
    folder = tmp_path / "state" / "site" / "4"
    folder.mkdir(parents=True)
    (folder / "site.toml").write_text(site_tables)
    (tmp_path / "state" / "site" / "current").symlink_to("4")
    path = written(tmp_path, BARE)
    assert is_enrolled(load_machine(path))
    config = load(path)
    assert (config.place, config.keys.signing) == ("mall-1", folder / "device.key")
    shown = json.loads(in_force(config))
    assert (shown["gate"], shown["camera"]["kind"]) == ("north", "pi")
    (folder / "site.toml").write_text(site_tables.replace("mall-1", "mall 1"))
    with pytest.raises(ConfigError, match=r"site\.toml"):
        load(path)


def test_a_site_in_the_file_itself_counts_more_than_one_in_the_folder(tmp_path):
    folder = tmp_path / "state" / "site" / "4"
    folder.mkdir(parents=True)
    site_tables = WHOLE.partition("[camera]")[0].replace('state_dir = "state"\n', "")
    (folder / "site.toml").write_text(site_tables.replace("mall-1", "elsewhere"))
    (tmp_path / "state" / "site" / "current").symlink_to("4")
    assert load(written(tmp_path, WHOLE)).place == "mall-1"


@pytest.mark.parametrize("host", ["hub", 'a"b', "a\\b", "a\x7f\x01", "商场", "a\nb = 1"])
def test_what_is_written_is_read_again(tmp_path, host):
    """Whatever stands in a value: `load_site` judges it, the file stays a file."""
    site = load(written(tmp_path, WHOLE)).site
    from msgspec.structs import replace

    odd = replace(site, broker=replace(site.broker, host=host))
    (tmp_path / "site.toml").write_bytes(tomlfile.dump(odd, folder=tmp_path))
    again = tomlfile.read(tmp_path / "site.toml")
    assert again["broker"]["host"] == host
    assert again["keys"]["signing"] == "device.key", "below the folder: relative"
    assert again["keys"]["root"] == "/etc/root.pub"
    if host == "hub":
        assert load_site(tmp_path) == odd
    else:
        with pytest.raises(ConfigError, match="host"):
            load_site(tmp_path)


def test_every_table_of_a_site_is_one_of_the_configuration():
    assert set(SiteConfig.__struct_fields__) == {
        "device_id", "place", "gate", "direction", "keys", "trust", "broker", "hub", "renews",
    }  # fmt: skip
