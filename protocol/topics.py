"""MQTT topics (PROTOCOL §6). The shard, the first two hex digits of a device id, lets several hub workers
share the load on any broker with the order of each device kept.
"""

import re

from protocol.errors import MalformedError

HUB_PRESENCE = "gatelight/1/hub/presence"
TRUST = "gatelight/1/trust"

CHECKINS_FILTER = "gatelight/1/d/+/+/checkins"
PRESENCE_FILTER = "gatelight/1/d/+/+/presence"
HEALTH_FILTER = "gatelight/1/d/+/+/health"
RESULTS_FILTER = "gatelight/1/d/+/+/results"
RESOLVE_FILTER = "gatelight/1/d/+/+/resolve"
STATUS_VERSION_FILTER = "gatelight/1/status/+/version"
STATUS_DELTA_FILTER = "gatelight/1/status/+/delta"

_PLACES = "gatelight/1/p/"
_DEVICE_TOPIC = re.compile(r"gatelight/1/d/([0-9a-f]{2})/(\1[0-9a-f]{14})/([a-z]{1,16})", re.ASCII)
_STATUS_TOPIC = re.compile(r"gatelight/1/status/([0-9a-f]{16})/(version|snapshot|delta)", re.ASCII)
_LIST_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


def device_id_text(device: bytes) -> str:
    """Device id, 8 bytes -> 16 lower-case hex digits: the MQTT client id and the certificate's CN."""
    if len(device) != 8:
        raise ValueError(f"a device id has 8 bytes, not {len(device)}")
    return device.hex()


def checkins(device: bytes) -> str:
    """Device to hub: arrays of sealed check-ins."""
    return _device_topic(device, "checkins")


def receipts(device: bytes) -> str:
    """Hub to device: receipts."""
    return _device_topic(device, "receipts")


def presence(device: bytes) -> str:
    """Device, retained, and its last will."""
    return _device_topic(device, "presence")


def health(device: bytes) -> str:
    """Device, QoS 0, every 30 s and on change of state."""
    return _device_topic(device, "health")


def policy(device: bytes) -> str:
    """Hub to device, retained: the gate policy."""
    return _device_topic(device, "policy")


def commands(device: bytes) -> str:
    """Hub to device: commands."""
    return _device_topic(device, "commands")


def results(device: bytes) -> str:
    """Device to hub: results of commands."""
    return _device_topic(device, "results")


def resolve(device: bytes) -> str:
    """Device to hub: look-ups, sealed to the platform."""
    return _device_topic(device, "resolve")


def resolved(device: bytes) -> str:
    """Hub to device: the platform's answers to look-ups."""
    return _device_topic(device, "resolved")


def time(device: bytes) -> str:
    """Hub to device: what time it is."""
    return _device_topic(device, "time")


def status_version(list_id: str) -> str:
    """Hub, retained: the version that the hub has of a list."""
    return _status_topic(list_id, "version")


def status_snapshot(list_id: str) -> str:
    """Hub, retained: the whole list, subscribed to only while catching up."""
    return _status_topic(list_id, "snapshot")


def status_delta(list_id: str) -> str:
    """Hub to every gate: what changed in a list, and heartbeats."""
    return _status_topic(list_id, "delta")


def used(place: str) -> str:
    """Every gate of a place: one code, one person."""
    return f"{_PLACES}{place}/used"


def is_shared(topic: str) -> bool:
    """Whether many devices may write there."""
    return topic.startswith(_PLACES)


def parse_device_topic(topic: str) -> tuple[bytes, str]:
    """Topic -> (device id of 8 bytes, last level).

    Raises:
        MalformedError: not a device's topic, or under another shard than its own.
    """
    found = _DEVICE_TOPIC.fullmatch(topic)
    if found is None:
        raise MalformedError("topic", f"not a device's topic: {topic!r:.80}")
    return bytes.fromhex(found[2]), found[3]


def parse_status_topic(topic: str) -> tuple[str, str]:
    """Topic -> (list id, `version`, `snapshot` or `delta`).

    Raises:
        MalformedError: not a status list's topic.
    """
    found = _STATUS_TOPIC.fullmatch(topic)
    if found is None:
        raise MalformedError("topic", f"not a status list's topic: {topic!r:.80}")
    return found[1], found[2]


def _status_topic(list_id: str, leaf: str) -> str:
    if not _LIST_ID.fullmatch(list_id):
        raise ValueError(f"a list id has 16 hex digits: {list_id!r:.40}")
    return f"gatelight/1/status/{list_id}/{leaf}"


def _device_topic(device: bytes, leaf: str) -> str:
    text = device_id_text(device)
    return f"gatelight/1/d/{text[:2]}/{text}/{leaf}"
