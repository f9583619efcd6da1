"""What a store can do for the life of devices: tokens, enrolments, keys over time, certificates.

`EnrolStore` is the fifth port of a whole store; the rules of `hub.store.ports` hold for it too. Each change writes
its audit entry in the same transaction, and shows in `registry_version`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hub.model import AuditEntry, Device
from protocol.enrolment import EnrolmentState
from protocol.terms import Direction


class Refusal(StrEnum):
    """Why an enrolment is not taken. The values are the wire's reasons."""

    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105 -- a reason, no secret
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 -- as above
    TOKEN_USED = "token_used"  # noqa: S105 -- as above
    KEY_KNOWN = "key_known"
    TOO_MANY_WAITING = "too_many_waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolToken:
    """What one provisioning code is good for."""

    hash: bytes
    """SHA-256 of the token: the store never holds the token itself."""
    place_id: str
    gate_id: str | None
    """None: chosen or numbered when a device is approved."""
    direction: Direction
    devices: int
    used: int
    """Enrolments asked for with it that were not refused: waiting or approved."""
    made_ms: int
    expires_ms: int
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedEnrolment:
    """A checked request, as it is taken."""

    enrolment_id: bytes
    token_hash: bytes
    kid: bytes
    cose_key: bytes
    csr: bytes
    tls_key: bytes
    """SHA-256 of the public key info in `csr`."""
    serial: str
    model: str
    firmware: str
    address: str
    asked_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One device's request and what became of it."""

    asked: AskedEnrolment
    place_id: str
    gate_id: str | None
    direction: Direction
    """Place, gate and direction are those of its token."""
    state: EnrolmentState
    decided_ms: int | None = None
    who: str | None = None
    reason: str = ""
    device_id: bytes | None = None
    certificate: bytes | None = None
    """DER; with `device_id` once it is approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that the hub's authority has signed."""

    serial: bytes
    device_id: bytes | None
    """None: a server's, or the hub's own."""
    name: str
    key: bytes
    """SHA-256 of its public key info."""
    der: bytes
    issued_ms: int
    not_after_ms: int
    revoked_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key that a device signs by, or has signed by."""

    kid: bytes
    device_id: bytes
    cose_key: bytes
    from_ms: int
    until_ms: int | None = None
    """When its successor was first used: it signs nothing new since. None: it may sign."""
    announced_ms: int | None = None
    """When the platform was told of it; None: it has still to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """What an approved enrolment becomes: a device with the key that asked, and its first certificate."""

    device_id: bytes
    place_id: str
    gate_id: str | None
    """None: the first of G1, G2, ... at this place where no device stands. It is registered if it is not yet."""
    direction: Direction | None
    name: str
    certificate: Certificate


class EnrolStore(Protocol):
    """What `registry` and `enrol` need for the life of devices."""

    async def add_token(self, token: EnrolToken, *, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when its place or gate is not known."""

    async def find_token(self, token_hash: bytes) -> EnrolToken | None:
        """The token with this hash, used up or not."""

    async def take_enrolment(
        self, asked: AskedEnrolment, *, waiting_max: int, audit: AuditEntry
    ) -> Enrolment | Refusal:
        """Let a device wait for a decision, if its token and keys allow it; nothing is written otherwise.

        The same key with the same token, and the same key for TLS, gets what it got before, also after the token
        has ended. A key that waits with another token waits with this one only. However many ask at the same time,
        no more are taken than the token is good for.
        """

    async def find_enrolment(self, enrolment_id: bytes) -> Enrolment | None:
        """The enrolment with this id."""

    async def enrolments(self, *, limit: int) -> tuple[Enrolment, ...]:
        """Those that wait, oldest first, then the others, newest first."""

    async def approve_enrolment(
        self, enrolment_id: bytes, new: NewDevice, *, replaced_id: bytes | None, audit: AuditEntry
    ) -> Device:
        """Register the device, its key and certificate, and say so in the enrolment.

        With `replaced_id` the new device stands where that one stood, in place of what `new` says, and that one is
        revoked in the same transaction.

        Raises:
            RegistryConflictError: it does not wait, its place or gate is not known, or the replaced device is not
                known or is revoked.
        """

    async def refuse_enrolment(self, enrolment_id: bytes, *, reason: str, audit: AuditEntry) -> None:
        """Raises RegistryConflictError when it does not wait. Its token may be used by another device instead."""

    async def lapse_enrolments(self, *, asked_before_ms: int, audit: AuditEntry) -> int:
        """Refuse those that wait since before the bound; returns how many. The audit entry is for each of them."""

    async def find_device(self, device_id: bytes) -> Device | None:
        """The device with this id, in whatever state."""

    async def device_keys(self, device_id: bytes | None = None) -> tuple[StoredKey, ...]:
        """The keys of one device, or of all, the oldest of a device first."""

    async def keys_to_announce(self, *, limit: int) -> tuple[StoredKey, ...]:
        """Keys that the platform has not been told of, oldest first."""

    async def mark_key_announced(self, kid: bytes, *, at_ms: int) -> None:
        """The platform knows this key."""

    async def end_older_keys(self, device_id: bytes, *, kid: bytes, audit: AuditEntry) -> None:
        """The key `kid` was used: those that the device had before it sign nothing new."""

    async def add_certificate(self, certificate: Certificate, *, audit: AuditEntry) -> None:
        """Write down a certificate before it is handed out."""

    async def renew(self, certificate: Certificate, *, new_key: StoredKey | None, audit: AuditEntry) -> None:
        """A device's next certificate, and its next key unless it has that one already.

        Raises:
            RegistryConflictError: the device is not known or is revoked, or the key is another's, or has ended.
        """

    async def find_certificate(self, serial: bytes) -> Certificate | None:
        """The certificate with this serial number."""

    async def certificates_of_key(self, key: bytes) -> tuple[Certificate, ...]:
        """The certificates for one public key, newest first."""
