"""How the pages call what the wire and the API name. The sentences are translated where they are shown."""

from dataclasses import dataclass
from typing import Final

from hub.console.fleet.search import Sort
from hub.console.fleet.troubles import Standing, Trouble
from hub.store.trust_ports import CommandState
from protocol.command import CommandName


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How an order is offered."""

    title: str
    what: str
    grave: bool = False
    """Asked for twice."""


TROUBLES: Final = {
    Trouble.QUARANTINED: "In quarantine",
    Trouble.STORAGE_FAILED: "Storage failed",
    Trouble.OFFLINE: "Offline",
    Trouble.NEVER_SEEN: "Never heard",
    Trouble.CAMERA_STALLED: "Camera stalled",
    Trouble.CLOCK_UNTRUSTED: "Clock not trusted",
    Trouble.SPOOL_OLD: "Check-ins wait too long",
    Trouble.CERTIFICATE_ENDS: "Certificate ends",
    Trouble.SUPPLY_LOW: "Under-voltage now",
    Trouble.DISK_FULL: "Disk nearly full",
    Trouble.HOT: "Too hot",
    Trouble.UPDATE_FAILED: "Update failed",
    Trouble.LISTS_STALE: "Status lists out of date",
    Trouble.TRUST_ENDS: "Trust bundle ends",
    Trouble.THERMOMETER_FAILED: "Thermometer failed",
    Trouble.DECODE_SLOW: "Decoding is slow",
    Trouble.SUPPLY_WAS_LOW: "Under-voltage since start",
}
STANDINGS: Final = {
    Standing.WORKING: "In service",
    Standing.OUT_OF_SERVICE: "Out of service",
    Standing.STORAGE_FAILED: "Storage failed",
    Standing.OFFLINE: "Offline",
    Standing.QUARANTINED: "In quarantine",
    Standing.REVOKED: "Revoked",
}
SORTS: Final = {
    Sort.TROUBLE: "Troubles first",
    Sort.PLACE: "Place and gate",
    Sort.SEEN: "Longest silent",
    Sort.UNSENT: "Oldest check-in",
    Sort.SCANS: "Most scans",
    Sort.DECODE: "Slowest decoding",
    Sort.FRAMES: "Fewest frames",
    Sort.TEMPERATURE: "Hottest",
    Sort.DISK: "Least disk space",
    Sort.CERTIFICATE: "Certificate ends first",
    Sort.FIRMWARE: "Oldest firmware",
}
STATES: Final = {
    CommandState.QUEUED: "waits for the hub",
    CommandState.SENT: "sent, no answer yet",
    CommandState.DONE: "done",
    CommandState.FAILED: "failed",
    CommandState.EXPIRED: "expired",
}
ORDERS: Final = {
    CommandName.LOCATE: Order(title="Locate", what="It blinks and beeps for ten seconds."),
    CommandName.TEST_SCAN: Order(title="Test scan", what="It looks through its camera and tells what it measured."),
    CommandName.OPEN_ONCE: Order(
        title="Open once", what="The gate opens for one person, without a check-in.", grave=True
    ),
    CommandName.HOLD_OPEN: Order(
        title="Hold open", what="The gate stays open for so many minutes, as for an evacuation.", grave=True
    ),
    CommandName.CLOSE: Order(title="Close", what="It ends holding open."),
    CommandName.DISABLE: Order(title="Disable", what="It serves nobody until it is enabled.", grave=True),
    CommandName.ENABLE: Order(title="Enable", what="It serves people again."),
    CommandName.RESTART: Order(title="Restart", what="Its program begins anew; that takes some seconds.", grave=True),
    CommandName.ROTATE_KEYS: Order(title="New keys", what="It makes new keys and gets a new certificate."),
    CommandName.SEND_LOGS: Order(title="Fetch its log", what="The last lines of its log, without personal data."),
    CommandName.UPDATE: Order(
        title="Update", what="It fetches that release, tries it, and goes back by itself if it is not well.", grave=True
    ),
    CommandName.WIPE: Order(
        title="Wipe",
        what="It erases keys, check-ins and trust, signs a proof of it, and is revoked. It has to be enrolled again.",
        grave=True,
    ),
}
