"""Mosquitto for one site: its configuration. Who may do what is the hub's to say, by dynamic security.

The sandbox keeps no state in the broker on purpose: whatever it forgets, the devices send again.
"""

import json
import os
import pwd
import shutil
from pathlib import Path

from deploy.hub.broker import SHIPPED, site_configuration
from deploy.sandbox.pki import CertificateFiles
from hub.broker.access import initial_security

# Debian puts it where ordinary users' PATH does not look.
SYSTEM_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
SECURITY_FILE = "dynamic-security.json"
PLUGIN = "mosquitto_dynamic_security.so"
LIBRARY_PLACES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")


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
    """The shipped configuration, with the lines of this site."""
    values = {
        "listener": f"{port} {host}",
        "cafile": str(certificates.ca),
        "certfile": str(certificates.cert),
        "keyfile": str(certificates.key),
        "plugin": str(plugin),
        "plugin_opt_config_file": str(security),
        # Started by root, Mosquitto would become another user, who cannot read the site's keys.
        "user": user,
    }
    return site_configuration(SHIPPED.read_text(encoding="utf-8"), values)


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
