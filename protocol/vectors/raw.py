"""Hand-made bytes for vectors: CBOR of any form, and signatures over it.

A bad vector is signed correctly wherever that is possible, so that only the fault it is named after can refuse it.
"""  # noqa: INP001 - data beside its makers, not a part of the package

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import cbor, envelope
from protocol.keys import Ed25519SigningKey, P256SigningKey, SigningKey

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Vector = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A key pair that everybody knows; `secret` is the Ed25519 seed or the P-256 scalar, 32 bytes."""

    name: str
    label: str
    secret: bytes
    key: SigningKey


def named_key(name: str, *, p256: bool = False) -> NamedKey:
    """A key from its name alone: SHA-256 of `gatelight vectors: <name>` is the seed, or mod n-1 plus 1 the scalar."""
    label = f"gatelight vectors: {name}"
    secret = hashlib.sha256(label.encode()).digest()
    if not p256:
        return NamedKey(name=name, label=label, secret=secret, key=Ed25519SigningKey(secret))
    scalar = int.from_bytes(secret, "big") % (P256_ORDER - 1) + 1
    key = P256SigningKey(ec.derive_private_key(scalar, ec.SECP256R1()))
    return NamedKey(name=name, label=label, secret=scalar.to_bytes(32, "big"), key=key)


KEYS = {
    named.name: named
    for named in (
        named_key("root"),
        named_key("issuer"),
        named_key("issuer-p256", p256=True),
        named_key("platform"),
        named_key("hub"),
        named_key("hub-p256", p256=True),
        named_key("device"),
        named_key("device-p256", p256=True),
        named_key("stranger"),
    )
}


def signer(name: str) -> SigningKey:
    """The signing key of that name."""
    return KEYS[name].key


def filler(label: str, length: int) -> bytes:
    """Bytes that look random and are always the same."""
    return hashlib.shake_256(label.encode()).digest(length)


def head(major: int, number: int, width: int) -> bytes:
    """A CBOR head (RFC 8949 §3) whose number stands in `width` bytes after the first, needed or not."""
    if width == 0:
        return bytes([major << 5 | number])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + number.to_bytes(width, "big")


def pairs(*items: tuple[Any, Any]) -> bytes:
    """A map of at most 23 pairs in the order given, doubles included. Bytes in `Raw` stand as they are."""
    return head(5, len(items), 0) + b"".join(_raw(part) for pair in items for part in pair)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are CBOR already."""

    data: bytes


def _raw(value: Any) -> bytes:
    return value.data if isinstance(value, Raw) else cbor2.dumps(value)


def with_pairs(payload: bytes, changes: dict[Any, Any]) -> bytes:
    """A map's encoding with some values replaced, added, or (where None) left out; in deterministic order."""
    value = cbor2.loads(payload) | changes
    return cbor.encode({key: item for key, item in value.items() if item is not None})


def header(key: SigningKey, **changes: Any) -> bytes:
    """The protected header of a key; `alg`, `kid` and `more` (a map) change it."""
    fields = {1: changes.get("alg", key.public.alg), 4: changes.get("kid", key.public.kid)} | changes.get("more", {})
    return cbor.encode(fields)


def to_be_signed(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 §4.4)."""
    return cbor.encode(["Signature1", protected, aad, payload])


def sign1(
    payload: bytes,
    *,
    key: SigningKey,
    aad: bytes,
    protected: bytes | None = None,
    unprotected: bytes = b"\xa0",
    tag: bytes = b"\xd2",
    array: bytes = b"\x84",
    high_s: bool = False,
) -> bytes:
    """A signed object of any form."""
    protected = header(key) if protected is None else protected
    signature = key.sign(to_be_signed(protected, aad, payload))
    if high_s:
        signature = flip_s(signature)
    return tag + array + cbor.encode(protected) + unprotected + cbor.encode(payload) + cbor.encode(signature)


def flip_s(signature: bytes) -> bytes:
    """The other form of an ES256 signature: (r, n - s), which anyone can make without the key."""
    other = P256_ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + other.to_bytes(32, "big")


def steps(data: bytes, *, aad: bytes) -> dict[str, str]:
    """What an implementation sees on the way to a signature, in hex, for whoever has to find a difference."""
    protected, _, payload, signature = cbor2.loads(data[1:])
    return {
        "external_aad_text": aad.decode(),
        "protected_hex": protected.hex(),
        "payload_hex": payload.hex(),
        "to_be_signed_hex": to_be_signed(protected, aad, payload).hex(),
        "signature_hex": signature.hex(),
    }


def accepted(name: str, shows: str, given: dict[str, Any], decoded: Any, **more: Any) -> Vector:
    """A vector that must be accepted, with what must be read in it."""
    return {"name": name, "shows": shows, "input": given, "expected": {"result": "accepted", "decoded": decoded}} | more


def refused(name: str, shows: str, given: dict[str, Any], reason: str) -> Vector:
    """A vector that must be refused, with the reason's stable name."""
    return {"name": name, "shows": shows, "input": given, "expected": {"result": "refused", "reason": reason}}


AADS = {
    "code": envelope.AAD_CODE,
    "checkin": envelope.AAD_CHECKIN,
    "receipt": envelope.AAD_RECEIPT,
    "batch": envelope.AAD_BATCH,
    "batch-receipt": envelope.AAD_BATCH_RECEIPT,
    "trust": envelope.AAD_TRUST,
    "status-delta": envelope.AAD_STATUS_DELTA,
    "policy": envelope.AAD_POLICY,
    "command": envelope.AAD_COMMAND,
    "wipe": envelope.AAD_WIPE,
    "enrolment": envelope.AAD_ENROLMENT,
    "renewal": envelope.AAD_RENEWAL,
    "renewal-proof": envelope.AAD_RENEWAL_PROOF,
    "device-key": envelope.AAD_DEVICE_KEY,
    "resolved": envelope.AAD_RESOLVED,
    "time": envelope.AAD_TIME,
    "place": envelope.AAD_PLACE,
    "place-request": envelope.AAD_PLACE_REQUEST,
    "desk-answer": envelope.AAD_DESK_ANSWER,
}
