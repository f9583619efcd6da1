"""From a provisioning code to a waiting enrolment: tokens, and what devices ask for with them (PROTOCOL §8)."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

from hub.model import AuditEntry
from hub.registry.changes import Operator
from hub.registry.checks import RegistryError, RequestRefusedError, checked_id
from hub.registry.requests import as_verify_key, checked_csr, key_digest
from hub.store.enrol_ports import AskedEnrolment, Enrolment, EnrolStore, EnrolToken, Refusal
from protocol.enrolment import ENROLMENT_ID_BYTES, TOKEN_BYTES, open_request
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, encode_key
from protocol.terms import Direction

WAITING_MAX: Final = 200
"""More devices than an operator looks at in a day; a stolen code cannot make the list longer."""
TOKEN_DEVICES_MAX: Final = 500
"""The largest station has fewer gates."""
TOKEN_MINUTES_MAX: Final = 24 * 60
"""A code on a screen or a label is a secret that many eyes see: a day at most."""

_SENTENCES: Final = {
    Refusal.TOKEN_UNKNOWN: "the provisioning code is not one of this hub's",
    Refusal.TOKEN_EXPIRED: "the provisioning code has ended: show a new one",
    Refusal.TOKEN_USED: "the provisioning code is used up: show a new one",
    Refusal.KEY_KNOWN: "one of the keys is known already: each device makes its own",
    Refusal.TOO_MANY_WAITING: f"{WAITING_MAX} devices wait already for a decision",
}


async def make_token(
    store: EnrolStore,
    *,
    operator: Operator,
    place_id: str,
    gate_id: str | None,
    direction: Direction,
    devices: int,
    minutes: int,
) -> tuple[bytes, EnrolToken]:
    """A new token, 16 bytes, and what of it is stored.

    Raises:
        RegistryError: a value cannot be accepted.
        RegistryConflictError: the place or the gate is not registered.
    """
    if not 1 <= devices <= TOKEN_DEVICES_MAX:
        raise RegistryError(f"a code for {devices} devices: 1 to {TOKEN_DEVICES_MAX} are allowed")
    if not 1 <= minutes <= TOKEN_MINUTES_MAX:
        raise RegistryError(f"a code for {minutes} minutes: 1 to {TOKEN_MINUTES_MAX} are allowed")
    if gate_id is not None and devices > 1:
        raise RegistryError("a code for one gate is for one device: leave the gate out, and the gates are numbered")
    secret = secrets.token_bytes(TOKEN_BYTES)
    token = EnrolToken(
        hash=hashlib.sha256(secret).digest(),
        place_id=checked_id(place_id, what="place id"),
        gate_id=None if gate_id is None else checked_id(gate_id, what="gate id"),
        direction=direction,
        devices=devices,
        used=0,
        made_ms=operator.now_ms,
        # The code carries whole seconds.
        expires_ms=operator.now_ms // 1000 * 1000 + minutes * 60_000,
        who=operator.who,
    )
    where = place_id if gate_id is None else f"{place_id}/{gate_id}"
    detail = f"{token.hash.hex()[:16]}: {devices} at {where} for {minutes} min"
    await store.add_token(token, audit=operator.entry("enrol.token", detail))
    return secret, token


async def take_request(store: EnrolStore, data: bytes, *, address: str, now_ms: int) -> Enrolment:
    """A device's request -> its enrolment, which waits for a decision, or is the one it got before.

    1. The request is well-formed, and the key that it carries signed it.
    2. The CSR is signed by its own key, which is another one.
    3. The token is known, in its time and not used up; the keys are new; the queue has room.

    Raises:
        RequestRefusedError: one of them fails.
    """
    # 1.
    try:
        request = open_request(data)
    except ProtocolError as error:
        raise RequestRefusedError(error.reason, str(error)) from error
    # 2.
    tls_key = request_key(request.csr, not_keys=(request.key,))
    # 3.
    asked = AskedEnrolment(
        enrolment_id=secrets.token_bytes(ENROLMENT_ID_BYTES),
        token_hash=hashlib.sha256(request.token).digest(),
        kid=request.key.kid,
        cose_key=encode_key(request.key),
        csr=request.csr,
        tls_key=tls_key,
        serial=request.serial,
        model=request.model,
        firmware=request.firmware,
        address=address,
        asked_ms=now_ms,
    )
    detail = f"{asked.enrolment_id.hex()} from {address}, key {asked.kid.hex()}, serial {request.serial}"
    audit = AuditEntry(at_ms=now_ms, who="hub", action="enrol.asked", detail=detail)
    taken = await store.take_enrolment(asked, waiting_max=WAITING_MAX, audit=audit)
    if isinstance(taken, Refusal):
        what = f"{_SENTENCES[taken]} (key {asked.kid.hex()}, serial {request.serial})"
        raise RequestRefusedError(taken, what)
    return taken


def request_key(csr: bytes, *, not_keys: Iterable[VerifyKey | None]) -> bytes:
    """The digest of the public key in a CSR, which must be none of the signing keys `not_keys`.

    Raises:
        RequestRefusedError: `bad_csr`.
    """
    try:
        public = checked_csr(csr)
    except RegistryError as error:
        raise RequestRefusedError("bad_csr", str(error)) from error
    if as_verify_key(public) in not_keys:
        raise RequestRefusedError("bad_csr", "one key for TLS and for signing: a device has two")
    return key_digest(public)
