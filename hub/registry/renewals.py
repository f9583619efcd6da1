"""A device's next certificate, over the present one, and perhaps its next signing key.

The key that a device had before stays good for what it has signed, and signs on until the hub has seen a check-in by
the new one: a device that never got the answer, or lost power before it kept it, is not cut off by its own request.
From then on the older key signs nothing new.
"""

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.model import AuditEntry, DeviceState
from hub.registry.authority import Authority
from hub.registry.checks import RegistryError, RequestRefusedError, checked_device_id
from hub.registry.enrolments import request_key
from hub.registry.requests import checked_csr
from hub.store.enrol_ports import Certificate, EnrolStore, StoredKey
from hub.store.errors import RegistryConflictError
from protocol.enrolment import RenewalAnswer, open_renewal
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey, decode_key, encode_key

KEYS_IN_USE_MAX: Final = 4
"""The present key, and successors of which none was used yet: more mean that the device loses each of them."""
_FRESH_SHARE: Final = 2 / 3
"""A certificate with so much of its life left is given again to who asks again with the same key."""


async def connected_device(store: EnrolStore, presented: bytes | None) -> bytes:
    """The client certificate of a connection, already verified by TLS -> whose it is, 8 bytes.

    1. There is one, and its CN is a device id.
    2. It is written down here as that device's, and is not revoked.
    3. The device is not revoked.

    Raises:
        RequestRefusedError: one of them fails.
    """
    # 1.
    if presented is None:
        raise RequestRefusedError("certificate_needed", "a device renews with its present certificate")
    try:
        certificate = x509.load_der_x509_certificate(presented)
        (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        device_id = checked_device_id(str(common_name.value))
        number = certificate.serial_number
        serial = number.to_bytes((number.bit_length() + 7) // 8, "big")
    except (ValueError, OverflowError, RegistryError) as error:
        raise RequestRefusedError("certificate_unknown", f"not the certificate of a device: {error}") from error
    # 2.
    known = await store.find_certificate(serial)
    if known is None or known.der != presented or known.device_id != device_id:
        raise RequestRefusedError("certificate_unknown", f"certificate {serial.hex()} was not given out here")
    device = await store.find_device(device_id)
    # 3.
    if known.revoked_ms is not None or device is None or device.state is DeviceState.REVOKED:
        raise RequestRefusedError("device_revoked", f"device {device_id.hex()} is revoked, which is final")
    return device_id


async def renew(
    store: EnrolStore, data: bytes, *, authority: Authority, device_id: bytes, now_ms: int
) -> RenewalAnswer:
    """The sealed request of the device `device_id`, as its connection proves -> its next certificate.

    1. A present key of this device signed it, and a new key, if there is one, signed it too.
    2. It is about this device.
    3. The new key is nobody's yet, or this device's next one already.
    4. The CSR is signed by its own key, which is no signing key and no other device's.

    Raises:
        RequestRefusedError: one of them fails.
    """
    stored_keys = await store.device_keys(device_id)
    keys = {key.kid: key for key in stored_keys if key.until_ms is None}

    def key_of(kid: bytes) -> VerifyKey | None:
        stored = keys.get(kid)
        return None if stored is None else decode_key(stored.cose_key)

    # 1.
    try:
        request = open_renewal(data, key_of=key_of)
    except ProtocolError as error:
        raise RequestRefusedError(error.reason, str(error)) from error
    # 2.
    if request.device != device_id:
        what = f"device {device_id.hex()} asks for {request.device.hex()}"
        raise RequestRefusedError("wrong_device", what)
    # 3.
    new_key = None
    if request.new_key is not None and request.new_key.kid not in keys:
        if len(keys) >= KEYS_IN_USE_MAX:
            raise RequestRefusedError("too_many_keys", f"device {device_id.hex()} has {len(keys)} keys in use")
        new_key = StoredKey(
            kid=request.new_key.kid,
            device_id=device_id,
            cose_key=encode_key(request.new_key),
            # The order of a device's keys says which of them end; a clock that was set back must not turn it round.
            from_ms=max([now_ms, *(key.from_ms + 1 for key in stored_keys)]),
        )
    # 4.
    tls_key = request_key(request.csr, not_keys=(request.new_key, *map(key_of, keys)))
    certificates = await store.certificates_of_key(tls_key)
    if any(known.device_id != device_id for known in certificates):
        raise RequestRefusedError("key_known", "the key for TLS is another's")
    if new_key is None and certificates and _is_fresh(certificates[0], now_ms=now_ms):
        return RenewalAnswer(chain=(certificates[0].der,))
    certificate = authority.issue_device(checked_csr(request.csr), device_id=device_id, now_ms=now_ms)
    await _store(store, certificate, device_id=device_id, new_key=new_key)
    return RenewalAnswer(chain=(certificate.der,))


async def _store(store: EnrolStore, certificate: Certificate, *, device_id: bytes, new_key: StoredKey | None) -> None:
    detail = f"{device_id.hex()}, certificate {certificate.serial.hex()}"
    if new_key is not None:
        detail += f", new key {new_key.kid.hex()}"
    audit = AuditEntry(at_ms=certificate.issued_ms, who="hub", action="device.renew", detail=detail)
    try:
        await store.renew(certificate, new_key=new_key, audit=audit)
    except RegistryConflictError as error:
        raise RequestRefusedError("key_known", str(error)) from error


def _is_fresh(certificate: Certificate, *, now_ms: int) -> bool:
    life_ms = certificate.not_after_ms - certificate.issued_ms
    return certificate.revoked_ms is None and certificate.not_after_ms - now_ms > life_ms * _FRESH_SHARE
