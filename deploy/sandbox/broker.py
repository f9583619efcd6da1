"""Mosquitto for one site: its configuration. Who may do what is the hub's to say, by dynamic security.

The sandbox keeps no state in the broker on purpose: whatever it forgets, the devices send again.
"""

import json
import os
import pwd
import shutil
from pathlib import Path

from deploy.sandbox.pki import CertificateFiles
from hub.broker.access import initial_security

# Debian puts it where ordinary users' PATH does not look.
SYSTEM_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
SECURITY_FILE = "dynamic-security.json"
PLUGIN = "mosquitto_dynamic_security.so"
LIBRARY_PLACES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
# Each gate has at most 8 messages beyond its receipt; Mosquitto's own 1000 is overrun by 125 gates and
# drops without a word.
MAX_QUEUED_MESSAGES = 20_000
# The hub takes as many at once as its own receive maximum says; the broker shall not be the narrower.
MAX_INFLIGHT_MESSAGES = 1_000
# A status list's snapshot is at most 512 KiB (PROTOCOL section 9); the rest is topic and properties.
MAX_PACKET_BYTES = 528_384


class BrokerMissingError(Exception):
    """Mosquitto is not installed."""


def find_mosquitto() -> str:
    """The path of the broker's program.

    Raises:
        BrokerMissingError: with the words that help.
    """
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path=SYSTEM_PLACES)
    if path is None:
        raise BrokerMissingError("mosquitto is not installed: apt-get install mosquitto")
    return path


def find_plugin() -> Path:
    """The path of the broker's access control.

    Raises:
        BrokerMissingError: with the words that help.
    """
    for place in LIBRARY_PLACES:
        for depth in (PLUGIN, f"*/{PLUGIN}"):
            for found in Path(place).glob(depth):
                return found
    raise BrokerMissingError(f"{PLUGIN} is not installed: it comes with Debian's mosquitto")


def configuration(
    *, host: str, port: int, certificates: CertificateFiles, plugin: Path, security: Path, user: str
) -> str:
    """Mosquitto's configuration text: TLS 1.3 with client certificates only, nothing on disk."""
    return f"""\
per_listener_settings false
listener {port} {host}
cafile {certificates.ca}
certfile {certificates.cert}
keyfile {certificates.key}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
# Nobody can take another's connection over by its client id.
use_username_as_clientid true
allow_anonymous false
plugin {plugin}
plugin_opt_config_file {security}
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


def prepare(folder: Path, *, port: int, certificates: CertificateFiles, host: str = "127.0.0.1") -> list[str]:
    """Writes all files and returns the command that runs this broker.

    Raises:
        BrokerMissingError: there is no Mosquitto.
    """
    program, plugin = find_mosquitto(), find_plugin()
    folder.mkdir(parents=True, exist_ok=True)
    security = folder / SECURITY_FILE
    security.write_text(json.dumps(initial_security()), encoding="ascii")
    # Nobody else may change who may do what.
    security.chmod(0o600)
    config = folder / "mosquitto.conf"
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = configuration(host=host, port=port, certificates=certificates, plugin=plugin, security=security, user=user)
    config.write_text(text, encoding="utf-8")
    return [program, "-c", str(config)]
