"""Targets of files: what an operator writes for device and hub, and what a device kept before a power cut."""

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device import config as device_config
from device.enrol import bootfile, pending, wipe
from device.enrol.errors import EnrolmentError
from hub import config as hub_config
from protocol.errors import ProtocolError
from protocol.keyfile import encode_seed, parse_private
from tests.fuzz import files
from tests.fuzz.target import Target, require
from tests.fuzz.words import JSON_WORDS, TOML_WORDS


def _device_config(data: bytes) -> None:
    machine, site = device_config._split(files.path(data))
    require(device_config.in_force(machine), "nothing is in force")
    require(site is None or len(site.device) == 8, "a device id of another length")


_MACHINE = b"""state_dir = "/var/lib/gatelight"
serial = "100000003d1f"
[camera]
kind = "pi"
fps = 30.0
exposure_us = 2500
[hardware]
kind = "pi"
relay = 26
[decoder]
engine = "zxing"
[keystore]
kind = "tpm"
store = "/var/lib/tpm"
pin_file = "/etc/pin"
[thermometer]
kind = "mlx90614"
"""
_SITE = b"""device_id = "3fa1c20b7d5e9046"
place = "mall-1"
gate = "north.2"
direction = "in"
[keys]
hub = "hub.pub"
root = "root.pub"
stored = "signing-1"
[trust]
bundle = "trust.cose"
[broker]
host = "broker.example"
ca = "ca.pem"
cert = "cert.pem"
key = "key.pem"
[hub]
url = "https://hub.example:8444"
ca = "ca.pem"
"""


def _configs():
    yield _MACHINE
    top, _, tables = _SITE.partition(b"[keys]")
    yield top + _MACHINE + b"[keys]" + tables


def _boot_files():
    yield b'{"code": "GLE1:ABC"}'
    yield (
        b'{"url": "https://hub.example:8443", "token": "' + b"0" * 32 + b'", "ca_hash": "' + b"1" * 64
    ) + b'", "expires_s": 1795334412, "wifi": {"ssid": "net", "psk": "12345678"}, "place": "mall-1", "gate": "n"}'


def _boot_file(data: bytes) -> None:
    require(isinstance(bootfile.read(files.path(data)), str), "no text of a code")


def _private_key(data: bytes) -> None:
    key = parse_private(data)
    require(len(key.public.kid) == 8, "a key id of another length")


def _private_keys():
    yield encode_seed(bytes(32))
    for curve in (ec.SECP256R1(), ec.SECP384R1()):
        key = ec.derive_private_key(7, curve)
        yield key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _state_file(data: bytes) -> None:
    """What was begun before a power cut, and the mark of a wipe: damaged in any way they raise nothing."""
    for kind in (pending.Enrolling, pending.Renewing):
        found = pending.load(files.path(data), kind)
        require(found is None or isinstance(found, kind), "a state of another kind")
    require(wipe._read_mark(files.path(data)).keys is not None, "a mark that names nothing")


def _hub_config(data: bytes) -> None:
    found = hub_config.load(files.path(data))
    require(len(found.hub) == 8 and hub_config.in_force(found), "a hub id of another length")
    require(found.enrolment is None or found.enrolment.server_name, "an enrolment server without a name")
    for host in (found.broker.host, found.http.host, urlsplit(found.platform.url).hostname or ""):
        host.encode("idna")  # As every connection does first.


_HUB = b"""hub_id = "0123456789abcdef"
database = "hub.db"
[keys]
signing = "hub.key"
root = "root.pub"
[trust]
bundle = "trust.cose"
[broker]
host = "127.0.0.1"
ca = "ca.pem"
cert = "c.pem"
key = "k.pem"
port = 8883
[platform]
url = "https://platform.example/api"
ca = "ca.pem"
cert = "c.pem"
key = "k.pem"
"""
_HUB_MORE = b"""[http]
port = 8080
[retention]
personal_h = 24
[clock]
source = "assume"
[ca]
cert = "ca.pem"
key = "ca.key"
[enrolment]
url = "https://[::1]:8444"
"""


TARGETS = (
    Target(
        name="device-config",
        decoder="device.config, device.tomlfile",
        check=_device_config,
        seeds=_configs,
        bytes_max=1200,
        words=TOML_WORDS,
        refuses=(device_config.ConfigError,),
        foreign=False,
    ),
    Target(
        name="boot-file",
        decoder="device.enrol.bootfile.read",
        check=_boot_file,
        seeds=_boot_files,
        bytes_max=400,
        words=JSON_WORDS,
        refuses=(EnrolmentError,),
        foreign=False,
    ),
    Target(
        name="hub-config",
        decoder="hub.config.load",
        check=_hub_config,
        seeds=lambda: (_HUB, _HUB + _HUB_MORE),
        bytes_max=1000,
        words=TOML_WORDS,
        refuses=(hub_config.ConfigError,),
        foreign=False,
    ),
    Target(
        name="private-key",
        decoder="protocol.keyfile.parse_private",
        check=_private_key,
        seeds=_private_keys,
        bytes_max=400,
        words=(b"ed25519 ", b"-----BEGIN PRIVATE KEY-----", b"ENCRYPTED", b"EC ", b"\n"),
        refuses=(ProtocolError,),
        foreign=False,
    ),
    Target(
        name="state-file",
        decoder="device.enrol.pending.load, device.enrol.wipe",
        check=_state_file,
        seeds=lambda: (
            b'{"code": "GLE1:ABC", "signing": "signing-1", "tls_key": "PEM", "id": "' + b"0" * 32 + b'"}',
            b'{"tls_key": "PEM", "signing": null}',
            b'{"keys": ["signing-1"], "files": ["/etc/key.pem"]}',
        ),
        bytes_max=256,
        words=JSON_WORDS,
        foreign=False,
    ),
)
