import json
from pathlib import Path

import pytest

from hub.config import ConfigError, in_force, load

TEXT = """
hub_id = "00112233445566ff"
database = "data/hub.db"
[keys]
signing = "hub.key"
root = "/etc/root.pub"
[trust]
bundle = "trust.bundle"
[broker]
host = "broker.local"
ca = "ca.pem"
cert = "hub.pem"
key = "hub-tls.key"
[platform]
url = "https://platform.example/api"
ca = "ca.pem"
cert = "hub.pem"
key = "hub-tls.key"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "hub.toml"

    def write(text):
        path.write_text(text, encoding="utf-8")
        return load(path)

    return write


def test_paths_are_relative_to_the_file_and_defaults_are_filled_in(config, tmp_path):
    found = config(TEXT)
    assert found.hub == bytes.fromhex("00112233445566ff")
    assert found.database == tmp_path / "data" / "hub.db"
    assert found.keys.root == Path("/etc/root.pub")
    assert (found.broker.port, found.http.host, found.http.port) == (8883, "127.0.0.1", 8080)
    assert (found.retention.personal_h, found.retention.quarantine_h) == (24, 720)
    assert tmp_path / "trust.bundle" in found.files
    assert len(found.files) == 9


ENROLMENT = """
[ca]
cert = "ca/cert.pem"
key = "/secret/ca.key"
[enrolment]
url = "https://hub.example:8444"
"""


def test_without_an_authority_nobody_enrols(config):
    found = config(TEXT)
    assert (found.ca, found.enrolment) == (None, None)


def test_enrolment_has_defaults_and_its_files_are_needed(config, tmp_path):
    found = config(TEXT + ENROLMENT)
    assert (found.ca.certificate_days, found.enrolment.port) == (90, 8444)
    assert found.enrolment.host == "0.0.0.0"  # noqa: S104
    assert (found.enrolment.server_name, found.enrolment.broker_host) == ("hub.example", None)
    assert {tmp_path / "ca" / "cert.pem", Path("/secret/ca.key")} <= set(found.files)
    named = config(TEXT + ENROLMENT.replace("hub.example:8444", "[2001:db8::1]"))
    assert named.enrolment.server_name == "2001:db8::1"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[ca]\ncert", "[other]\ncert", "other"),
        ('key = "/secret/ca.key"', "", "`key`.*ca"),
        ('key = "/secret/ca.key"', 'key = "k"\ncertificate_days = 0', "ca.certificate_days"),
        ('key = "/secret/ca.key"', 'key = "k"\ncertificate_days = 826', "ca.certificate_days"),
        ("https://", "http://", "url"),
        (":8444", ":84444", "url"),
        (":8444", ":8444/", "url"),
        (":8444", ":8444/hub", "without a path"),
        (":8444", ":8444?x", "url"),
        ("hub.example", "user@hub.example", "url"),
        ("hub.example:8444", "x" * 130, "url"),
        ('url = "https://hub.example:8444"', "", "url"),
    ],
)
def test_a_wrong_enrolment_is_named(config, old, new, named):
    assert old in ENROLMENT
    with pytest.raises(ConfigError, match=named):
        config(TEXT + ENROLMENT.replace(old, new, 1))


def test_enrolment_without_an_authority_is_refused(config):
    with pytest.raises(ConfigError, match="needs `ca`"):
        config(TEXT + ENROLMENT[ENROLMENT.index("[enrolment]") :])


def test_what_is_in_force_shows_every_value(config):
    shown = json.loads(in_force(config(TEXT + "[retention]\npersonal_h = 2\n")))
    assert shown["retention"] == {"personal_h": 2, "quarantine_h": 720}
    assert shown["broker"]["port"] == 8883
    assert shown["keys"]["root"] == "/etc/root.pub"


def test_an_unknown_key_is_named_with_its_table(config):
    with pytest.raises(ConfigError, match=r"hub\.toml.*`colour`.*broker"):
        config(TEXT.replace("[broker]", '[broker]\ncolour = "red"'))
    with pytest.raises(ConfigError, match="`extra`"):
        config("extra = 1\n" + TEXT)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('hub_id = "00112233445566ff"\n', "", "hub_id"),
        ('hub_id = "00112233445566ff"', 'hub_id = "00112233445566FF"', "hub_id"),
        ('hub_id = "00112233445566ff"', 'hub_id = "00112233445566ff\\n"', "hub_id"),
        ('host = "broker.local"', 'host = ""', "broker.host"),
        ('host = "broker.local"', 'host = "b"\nport = 0', "broker.port"),
        ('host = "broker.local"', 'host = "b"\nport = "1"', "broker.port"),
        ("https://platform.example/api", "http://platform.example", "platform.url"),
        ("https://platform.example/api", "https://platform.example/api?x", "platform.url"),
        ('root = "/etc/root.pub"', "root = 5", "keys.root"),
        ("[trust]", "[retention]\npersonal_h = -1\n[trust]", "retention.personal_h"),
        ("[trust]", "[http]\nport = 70000\n[trust]", "http.port"),
    ],
)
def test_a_wrong_value_is_named(config, old, new, named):
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        config(TEXT.replace(old, new, 1))


NO_HOSTS = ("a..b", "x" * 64 + ".example", ".", "two words", "-a", "[::1]", "1::2::3", "\u5e73\u53f0.example")
"""Where a socket's address stands, an IPv6 address stands without brackets."""


@pytest.mark.parametrize("host", NO_HOSTS)
@pytest.mark.parametrize(
    ("old", "new", "table"),
    [
        ('host = "broker.local"', 'host = "{}"', "broker"),
        ("[trust]", '[http]\nhost = "{}"\n[trust]', "http"),
        ("[enrolment]", '[enrolment]\nhost = "{}"', "enrolment"),
    ],
)
def test_a_host_that_dns_cannot_have_is_named(config, old, new, table, host):
    with pytest.raises(ConfigError, match=rf"hub\.toml: host: .*{table}`$"):
        config((TEXT + ENROLMENT).replace(old, new.format(host), 1))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "[1]", "broker:0x1", "broker:70000"])
def test_a_platform_that_nobody_can_connect_to_is_named(config, host):
    with pytest.raises(ConfigError, match=r"hub\.toml: url: .*platform`$"):
        config(TEXT.replace("platform.example", host, 1))


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "::1", "[:::]"])
def test_a_broker_host_that_devices_would_refuse_is_named(config, host):
    with pytest.raises(ConfigError, match=r"hub\.toml: broker_host: .*enrolment`$"):
        config(TEXT + ENROLMENT + f'broker_host = "{host}"')


def test_the_broker_as_devices_are_told_it(config):
    assert config(TEXT + ENROLMENT).broker_host == "broker.local"
    assert config(TEXT.replace("broker.local", "2001:db8::1")).broker_host == "[2001:db8::1]"
    assert config(TEXT + ENROLMENT + 'broker_host = "[::1]"').broker_host == "[::1]"


def test_names_and_addresses_of_hosts(config):
    for host in ("broker", "x" * 63 + ".example", "192.0.2.7", "2001:db8::1", "::", "localhost"):
        found = config(TEXT.replace("broker.local", host) + f'[http]\nhost = "{host}"\n')
        assert (found.broker.host, found.http.host) == (host, host)
    for host in ("platform:8443", "[2001:db8::1]", "192.0.2.7:443"):
        assert config(TEXT.replace("platform.example", host)).platform.url == f"https://{host}/api"
    for host in ("broker.example", "[2001:db8::1]"):
        assert config(TEXT + ENROLMENT + f'broker_host = "{host}"').enrolment.broker_host == host


def test_a_file_that_is_missing_or_no_toml(config, tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"hub\.toml"):
        config("[[[")
    (tmp_path / "hub.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        load(tmp_path / "hub.toml")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\x00",
        b"a=" * 5000,
        b"x = " + b"[" * 3000,
        b"#" * 70_000,
        b"x = " + b"1" * 5000,
        b"x = [" + b"1" * 4000 + b",\n" + b"1" * 4000 + b"]",
    ],
)
def test_hostile_files_are_errors_not_crashes(tmp_path, data):
    path = tmp_path / "hub.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"hub\.toml"):
        load(path)


def test_a_key_of_thousands_of_parts_is_refused_before_it_is_read(tmp_path):
    """Python's reader takes 4 GB for one of 64 KiB."""
    path = tmp_path / "hub.toml"
    path.write_bytes(b"# fine\n" + b"a." * 2500 + b"a = 1\n")
    with pytest.raises(ConfigError, match=r"hub\.toml: line 2 has 5005 bytes"):
        load(path)
