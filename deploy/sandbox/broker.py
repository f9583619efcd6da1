"""Mosquitto for one site: its configuration and its access list, as PROTOCOL section 6 asks.

The sandbox keeps no state in the broker on purpose: whatever it forgets, the devices send again.
"""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.sandbox.pki import CertificateFiles

# Debian puts it where ordinary users' PATH does not look.
SYSTEM_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
# Each gate has at most 8 messages beyond its receipt; Mosquitto's own 1000 is overrun by 125 gates and
# drops without a word.
MAX_QUEUED_MESSAGES = 20_000
# The hub takes as many at once as its own receive maximum says; the broker shall not be the narrower.
MAX_INFLIGHT_MESSAGES = 1_000
# A check-ins message is at most 64 KiB (PROTOCOL section 9); the rest is topic and properties.
MAX_PACKET_BYTES = 66_560

_TOPICS_OF_A_DEVICE = (
    "readwrite gatelight/1/d/{shard}/{device}/#",
    "read gatelight/1/hub/#",
    "read gatelight/1/trust",
    "read gatelight/1/status/#",
    "readwrite gatelight/1/p/{place}/used",
)


class BrokerMissingError(Exception):
    """Mosquitto is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedDevice:
    """One line of the access list's reasons: which device may speak, and at which place."""

    device_id: bytes
    place: str


def find_mosquitto() -> str:
    """The path of the broker's program.

    Raises:
        BrokerMissingError: with the words that help.
    """
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path=SYSTEM_PLACES)
    if path is None:
        raise BrokerMissingError("mosquitto is not installed: apt-get install mosquitto")
    return path


def access_list(devices: list[AllowedDevice]) -> str:
    """Mosquitto's ACL text. The user is the certificate's common name.

    Mosquitto's patterns know the whole name but not its first two digits, which are the shard in the
    topic; so every device has a block of its own.
    """
    blocks = ["user hub\ntopic readwrite gatelight/1/#\n"]
    for allowed in devices:
        device = allowed.device_id.hex()
        lines = [f"user {device}"]
        lines += [
            "topic " + rule.format(shard=device[:2], device=device, place=allowed.place) for rule in _TOPICS_OF_A_DEVICE
        ]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def configuration(*, port: int, certificates: CertificateFiles, acl: Path, user: str) -> str:
    """Mosquitto's configuration text: TLS 1.3 with client certificates only, nothing on disk."""
    return f"""\
per_listener_settings false
listener {port} 127.0.0.1
cafile {certificates.ca}
certfile {certificates.cert}
keyfile {certificates.key}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {acl}
# Started by root, Mosquitto would become another user, who cannot read the site's keys.
user {user}
persistence false
# Delivery is proved by receipts; the broker only has to be quick and not to drop in silence.
max_queued_messages {MAX_QUEUED_MESSAGES}
max_inflight_messages {MAX_INFLIGHT_MESSAGES}
max_packet_size {MAX_PACKET_BYTES}
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
"""


def prepare(folder: Path, *, port: int, certificates: CertificateFiles, devices: list[AllowedDevice]) -> list[str]:
    """Writes both files and returns the command that runs this broker.

    Raises:
        BrokerMissingError: there is no Mosquitto.
    """
    program = find_mosquitto()
    folder.mkdir(parents=True, exist_ok=True)
    acl = folder / "acl"
    acl.write_text(access_list(devices), encoding="ascii")
    # Mosquitto warns when others could change who may do what.
    acl.chmod(0o600)
    config = folder / "mosquitto.conf"
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = configuration(port=port, certificates=certificates, acl=acl, user=user)
    config.write_text(text, encoding="utf-8")
    return [program, "-c", str(config)]
