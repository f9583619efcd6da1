"""Tells the broker who may do what: Mosquitto's dynamic security, kept equal to the registry (PROTOCOL §6).

    registry ── want ──> AccessControl ── createRole, createClient ──> broker
                                      <── listClients ──────────────

A device is a client of the broker's with one role, `<device id>@<place>`, which names every topic that it may write
or read. Taking the client away ends its open connection at once, and a connection that it makes again, with a
certificate that is still valid for TLS, may neither write nor read anything.

The broker's own list is asked for after every connection, so that whatever was lost or changed there is put right.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from hub.broker.wire import Outgoing
from protocol import topics

_LOG: Final = logging.getLogger(__name__)

CONTROL: Final = "$CONTROL/dynamic-security/v1"
RESPONSE: Final = f"{CONTROL}/response"

_HUB: Final = "hub"
_COMMANDS_A_MESSAGE: Final = 40  # A role is a kilobyte of JSON; the broker's packet limit is 64 KiB or more.
_PAGE_CLIENTS: Final = 200  # About 25 KiB of JSON: an answer must fit into a packet too.
_RESPONSE_BYTES: Final = 128 * 1024
_WRITES: Final = ("checkins", "presence", "health", "results", "resolve")
_EVERYBODY_READS: Final = ("gatelight/1/hub/#", topics.TRUST, "gatelight/1/status/#")
# What taking away something that is gone already is answered with. That something is there already is no such thing:
# a client that was not made anew keeps no role, as its old one has just been deleted.
_AS_WANTED: Final = frozenset({"Client not found", "Role not found", "Role does not exist"})


def role_name(device: bytes, place: str) -> str:
    """The role of a device at a place. A device that moves gets another one."""
    return f"{device.hex()}@{place}"


def initial_security(devices: Mapping[bytes, str] | None = None) -> dict[str, Any]:
    """The broker's rules to begin with: the hub may do everything of ours, each of these devices its part at its place.

    Told over MQTT, Mosquitto 2.0 writes its whole file for each device and stands still meanwhile: 5,000 devices take
    minutes, read from the file a second.
    """
    roles = {device.hex(): role_name(device, place) for device, place in (devices or {}).items()}
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {"username": _HUB, "roles": [{"rolename": _HUB}]},
            *({"username": name, "roles": [{"rolename": role}]} for name, role in roles.items()),
        ],
        "groups": [],
        "roles": [
            {
                "rolename": _HUB,
                "acls": _acls(
                    ("publishClientSend", "gatelight/1/#"),
                    ("subscribePattern", "gatelight/1/#"),
                    ("publishClientSend", "$CONTROL/dynamic-security/#"),
                    ("subscribePattern", "$CONTROL/dynamic-security/#"),
                    ("publishClientReceive", "$CONTROL/dynamic-security/#"),
                ),
            },
            *({"rolename": role, "acls": _of_device(role)} for role in roles.values()),
        ],
    }


class AccessControl:
    """The broker's list of devices, made equal to ours.

    Args:
        publish: sends to the broker; False when it could not.
    """

    def __init__(self, *, publish: Callable[[Iterable[Outgoing]], bool]) -> None:
        self._publish = publish
        self._wanted: dict[str, str] = {}
        self._listed: dict[str, str] = {}
        self._question = 0
        """Which listing counts: the answer to an older one may show what has been changed since."""
        self._there: dict[str, str] | None = None
        """Username -> role, as the broker has them; None until it has said so on this connection."""

    @property
    def settled(self) -> bool:
        """Whether the broker has what is wanted, as far as it has answered."""
        return self._there == self._wanted

    def look(self) -> None:
        """Ask the broker what it has, unless that is known, and tell it what it could not be told before.

        Call it now and then: an answer may be lost, and there may have been no room to write.
        """
        if self._there is None:
            self.connected()
        else:
            self._reconcile()

    def connected(self) -> None:
        """A new connection: whatever was known of the broker's list may have changed."""
        self._there = None
        self._listed = {}
        self._question += 1
        self._ask(offset=0)

    def want(self, devices: Mapping[bytes, str]) -> None:
        """These devices, each at its place, and no others."""
        self._wanted = {device.hex(): role_name(device, place) for device, place in devices.items()}
        self._reconcile()

    def take(self, payload: bytes) -> None:
        """The broker's answer. What cannot be read is logged and changes nothing."""
        if len(payload) > _RESPONSE_BYTES:
            _LOG.error("broker_answer_unreadable", extra={"what": f"{len(payload)} bytes"})
            return
        try:
            for response in json.loads(payload)["responses"]:
                self._read(response)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # OverflowError: JSON, as Python reads it, has infinity.
            _LOG.error("broker_answer_unreadable", extra={"what": str(error)[:200]})

    def _read(self, response: dict[str, Any]) -> None:
        command, error = str(response["command"]), response.get("error")
        if error is not None and error not in _AS_WANTED:
            _LOG.error("broker_refused_command", extra={"command": command, "what": str(error)[:200]})
            # What it has now is not what we thought.
            self._there = None
        elif command == "listClients" and error is None and response.get("correlationData") == str(self._question):
            self._read_page(response["data"])

    def _read_page(self, page: dict[str, Any]) -> None:
        clients = page["clients"]
        for client in clients:
            roles = [str(role["rolename"]) for role in client.get("roles", [])]
            self._listed[str(client["username"])] = roles[0] if len(roles) == 1 else ""
        if clients and len(self._listed) < int(page["totalCount"]):
            self._ask(offset=len(self._listed))
            return
        self._there = {name: role for name, role in self._listed.items() if name != _HUB}
        self._reconcile()

    def _ask(self, *, offset: int) -> None:
        asked = {"command": "listClients", "verbose": True, "count": _PAGE_CLIENTS, "offset": offset}
        self._send([asked | {"correlationData": str(self._question)}])

    def _reconcile(self) -> None:
        if self._there is None or self._there == self._wanted:
            return
        commands: list[dict[str, Any]] = []
        # Taking away comes first: it is what an attacker hopes to be late.
        for name, role in self._there.items():
            if self._wanted.get(name) != role:
                commands += [
                    {"command": "deleteClient", "username": name},
                    {"command": "deleteRole", "rolename": role or name},
                ]
        for name, role in self._wanted.items():
            if self._there.get(name) != role:
                commands += [
                    # A role may be left of an earlier try.
                    {"command": "deleteRole", "rolename": role},
                    {"command": "createRole", "rolename": role, "acls": _of_device(role)},
                    {"command": "createClient", "username": name, "roles": [{"rolename": role}]},
                ]
        if self._send(commands):
            self._there = dict(self._wanted)

    def _send(self, commands: list[dict[str, Any]]) -> bool:
        messages = [
            Outgoing(topic=CONTROL, payload=json.dumps({"commands": commands[at : at + _COMMANDS_A_MESSAGE]}).encode())
            for at in range(0, len(commands), _COMMANDS_A_MESSAGE)
        ]
        return self._publish(messages)


def _of_device(role: str) -> list[dict[str, Any]]:
    device, _, place = role.partition("@")
    own = f"gatelight/1/d/{device[:2]}/{device}"
    return _acls(
        *(("publishClientSend", f"{own}/{leaf}") for leaf in _WRITES),
        ("subscribePattern", f"{own}/#"),
        ("publishClientSend", topics.used(place)),
        ("subscribePattern", topics.used(place)),
        *(("subscribePattern", topic) for topic in _EVERYBODY_READS),
    )


def _acls(*rules: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in rules]
