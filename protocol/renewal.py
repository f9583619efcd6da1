"""A device renews its certificate, and perhaps its signing key, before the old ones end.

The request is signed by the present key. Where it names a new one, that signs too, so that nobody can have a key
entered which he does not hold.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES
from protocol.envelope import AAD_RENEWAL, AAD_RENEWAL_PROOF
from protocol.errors import LimitError, MalformedError, SignatureError, UnknownKeyError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import (
    CERTIFICATE_BYTES,
    CHAIN_CERTIFICATES,
    CSR_BYTES,
    RENEWAL_ANSWER_BYTES,
    RENEWAL_BYTES,
    RENEWAL_PROOF_BYTES,
)

_WHAT = "renewal"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalRequest:
    """The CSR is DER; `new_key` only where the signing key changes too."""

    device: bytes
    csr: bytes
    new_key: VerifyKey | None = None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalAnswer:
    """The new certificate first, then those above it, each DER."""

    chain: tuple[bytes, ...]


def seal_renewal(request: RenewalRequest, *, key: SigningKey, new_key: SigningKey | None = None) -> bytes:
    """Request -> signed bytes.

    Args:
        request: what is asked.
        key: the device's present key.
        new_key: the key whose public half the request names, if it names one.

    Raises:
        ValueError: `new_key` is not the one that the request names: a mistake of ours.
        LimitError, MalformedError: a request that the hub would refuse.
    """
    if (None if new_key is None else new_key.public) != request.new_key:
        raise ValueError("the new key is not the one that the request names")
    fields: dict[int, Any] = {1: request.device, 2: request.csr, 4: request.at_ms}
    if new_key is not None:
        fields[3] = new_key.public.cose_key
        fields[5] = envelope.seal(_proven(fields), key=new_key, aad=AAD_RENEWAL_PROOF)
    payload = cbor.encode(fields)
    _read_renewal(payload)
    data = envelope.seal(payload, key=key, aad=AAD_RENEWAL)
    if len(data) > RENEWAL_BYTES:
        raise LimitError(_WHAT, f"{len(data)} bytes, at most {RENEWAL_BYTES} are allowed")
    return data


def open_renewal(data: bytes, *, key_of: Callable[[bytes], VerifyKey | None]) -> RenewalRequest:
    """Bytes -> request. The caller compares the device with that of the connection's certificate.

    1. The envelope, within its limit.
    2. Signed by the present key of the device.
    3. The request; the CSR's length is checked, not what is in it.
    4. A new key signed the same request.

    Args:
        data: the bytes as received.
        key_of: kid -> the key, if it is the present one of the device that is connected; else None.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a renewal.
        UnknownKeyError: signed by no such key.
        SignatureError: a signature does not fit.
    """
    # 1.
    sealed = envelope.parse(data, what=_WHAT, limit=RENEWAL_BYTES)
    # 2.
    key = key_of(sealed.kid)
    if key is None:
        raise UnknownKeyError(_WHAT, f"signed by {sealed.kid.hex()}, which is no device's present key")
    envelope.verify(sealed, key=key, aad=AAD_RENEWAL)
    # 3. and 4.
    return _read_renewal(sealed.payload)


def encode_renewal_answer(answer: RenewalAnswer) -> bytes:
    """Answer -> `{1: [certificate, ...]}`.

    Raises:
        MalformedError: an answer that a device would refuse.
    """
    data = cbor.encode({1: answer.chain})
    decode_renewal_answer(data)
    return data


def decode_renewal_answer(data: bytes) -> RenewalAnswer:
    """Bytes -> answer. The device checks the certificates themselves.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "renewal answer"
    fields = cbor.fields(cbor.decode(data, what=what, limit=RENEWAL_ANSWER_BYTES), what=what, known=frozenset({1}))
    return RenewalAnswer(chain=read_chain(fields.get(1), "renewal answer.chain"))


def read_csr(value: Any, where: str) -> bytes:
    """A certificate request, DER; only its length is checked here.

    Raises:
        MalformedError: anything else.
    """
    return cbor.sized_bytes(value, where, 1, CSR_BYTES)


def read_chain(value: Any, where: str) -> tuple[bytes, ...]:
    """Certificates, DER, the device's own first; only their number and lengths are checked here.

    Raises:
        MalformedError: anything else.
    """
    if type(value) is not list or not 1 <= len(value) <= CHAIN_CERTIFICATES:
        raise MalformedError(where, f"not a list of 1 to {CHAIN_CERTIFICATES} certificates")
    return tuple(cbor.sized_bytes(item, f"{where}[{at}]", 1, CERTIFICATE_BYTES) for at, item in enumerate(value))


def _proven(fields: dict[int, Any]) -> bytes:
    """What the new key signs: SHA-256 of the request's own fields."""
    return hashlib.sha256(cbor.encode({key: fields[key] for key in (1, 2, 3, 4)})).digest()


def _read_renewal(payload: bytes) -> RenewalRequest:
    fields = cbor.fields(
        cbor.decode(payload, what=_WHAT, limit=RENEWAL_BYTES), what=_WHAT, known=frozenset(range(1, 6))
    )
    if (3 in fields) != (5 in fields):
        raise MalformedError(_WHAT, "a new key without its proof, or a proof without a key")
    request = RenewalRequest(
        device=cbor.sized_bytes(fields.get(1), "renewal.device", DEVICE_BYTES),
        csr=read_csr(fields.get(2), "renewal.csr"),
        new_key=VerifyKey.from_cose(fields[3]) if 3 in fields else None,
        at_ms=cbor.time_ms(fields.get(4), "renewal.at"),
    )
    if request.new_key is not None:
        _check_proof(fields, request.new_key)
    return request


def _check_proof(fields: dict[int, Any], new_key: VerifyKey) -> None:
    proof = cbor.sized_bytes(fields.get(5), "renewal.proof", 1, RENEWAL_PROOF_BYTES)
    sealed = envelope.parse(proof, what="renewal.proof", limit=RENEWAL_PROOF_BYTES)
    envelope.verify(sealed, key=new_key, aad=AAD_RENEWAL_PROOF)
    if sealed.payload != _proven(fields):
        raise SignatureError("renewal.proof", "made for another request")
