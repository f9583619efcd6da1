"""A device without an identity asks for one, and what it gets (PROTOCOL §8).

The request is signed by the key that it carries: proof that the device holds it. The answer is not signed: it comes
over TLS from the hub whose authority the provisioning code named. Everything that belongs to a device's identity can
be imported from here.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from protocol import cbor, envelope
from protocol.configuration import Configuration, configuration_map, read_configuration
from protocol.devicekey import DeviceKey, open_device_key, seal_device_key
from protocol.envelope import AAD_ENROLMENT
from protocol.errors import LimitError, MalformedError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import ENROLMENT_ANSWER_BYTES, ENROLMENT_BYTES, VERSION_CHARS
from protocol.provisioning import (
    TOKEN_BYTES,
    ProvisioningCode,
    is_provisioning,
    parse_provisioning,
    provisioning_text,
)
from protocol.renewal import (
    RenewalAnswer,
    RenewalRequest,
    decode_renewal_answer,
    encode_renewal_answer,
    open_renewal,
    read_csr,
    seal_renewal,
)
from protocol.words import fingerprint_characters, fingerprint_words

__all__ = [
    "ENROLMENT_ID_BYTES",
    "TOKEN_BYTES",
    "Configuration",
    "DeviceKey",
    "EnrolmentAnswer",
    "EnrolmentRequest",
    "EnrolmentState",
    "ProvisioningCode",
    "RenewalAnswer",
    "RenewalRequest",
    "decode_answer",
    "decode_renewal_answer",
    "encode_answer",
    "encode_renewal_answer",
    "fingerprint_characters",
    "fingerprint_words",
    "is_provisioning",
    "open_device_key",
    "open_renewal",
    "open_request",
    "parse_provisioning",
    "provisioning_text",
    "seal_device_key",
    "seal_renewal",
    "seal_request",
]

ENROLMENT_ID_BYTES = 16
_REQUEST = "enrolment"
_ANSWER = "enrolment answer"


class EnrolmentState(IntEnum):
    """What became of a request: an operator has yet to look, approved it, or refused it."""

    WAITING = 0
    APPROVED = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """What a device says of itself. `csr` is DER and asks for its TLS certificate; `key` signs its check-ins."""

    token: bytes = field(repr=False)
    csr: bytes = field(repr=False)
    key: VerifyKey
    serial: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentAnswer:
    """The configuration is there when the state is approved, and only then."""

    id: bytes
    state: EnrolmentState
    configuration: Configuration | None = None


def seal_request(request: EnrolmentRequest, *, key: SigningKey) -> bytes:
    """Request -> bytes signed by the key that it carries.

    Raises:
        ValueError: `key` is another one: a mistake of ours.
        LimitError, MalformedError: a request that the hub would refuse.
    """
    if key.public != request.key:
        raise ValueError("a request is signed by the key that it carries")
    payload = cbor.encode(
        {
            1: request.token,
            2: request.csr,
            3: request.key.cose_key,
            4: request.serial,
            5: request.model,
            6: request.firmware,
        }
    )
    _read_request(payload)
    data = envelope.seal(payload, key=key, aad=AAD_ENROLMENT)
    if len(data) > ENROLMENT_BYTES:
        raise LimitError(_REQUEST, f"{len(data)} bytes, at most {ENROLMENT_BYTES} are allowed")
    return data


def open_request(data: bytes) -> EnrolmentRequest:
    """Bytes -> request. The caller judges the token, and reads the CSR.

    1. The envelope, within its limit.
    2. The request; the CSR's length is checked, not what is in it.
    3. Signed by the key that it carries.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a request.
        SignatureError: another key signed it.
    """
    # 1.
    sealed = envelope.parse(data, what=_REQUEST, limit=ENROLMENT_BYTES)
    # 2.
    request = _read_request(sealed.payload)
    # 3.
    envelope.verify(sealed, key=request.key, aad=AAD_ENROLMENT)
    return request


def encode_answer(answer: EnrolmentAnswer) -> bytes:
    """Answer -> `{1: id, 2: state, 3: configuration?}`.

    Raises:
        LimitError, MalformedError: an answer that a device would refuse.
    """
    fields: dict[int, Any] = {1: answer.id, 2: answer.state}
    if answer.configuration is not None:
        fields[3] = configuration_map(answer.configuration)
    data = cbor.encode(fields)
    decode_answer(data)
    return data


def decode_answer(data: bytes) -> EnrolmentAnswer:
    """Bytes -> answer. The device opens policy and trust with the keys in it before it believes them.

    Raises:
        LimitError, MalformedError, UnsupportedError: naming the field that is wrong.
    """
    fields = cbor.fields(
        cbor.decode(data, what=_ANSWER, limit=ENROLMENT_ANSWER_BYTES), what=_ANSWER, known=frozenset({1, 2, 3})
    )
    state = cbor.member(fields.get(2), f"{_ANSWER}.state", EnrolmentState)
    if (3 in fields) != (state is EnrolmentState.APPROVED):
        raise MalformedError(f"{_ANSWER}.configuration", "there if the request is approved, and only then")
    return EnrolmentAnswer(
        id=cbor.sized_bytes(fields.get(1), f"{_ANSWER}.id", ENROLMENT_ID_BYTES),
        state=state,
        configuration=read_configuration(fields[3]) if 3 in fields else None,
    )


def _read_request(payload: bytes) -> EnrolmentRequest:
    fields = cbor.fields(
        cbor.decode(payload, what=_REQUEST, limit=ENROLMENT_BYTES), what=_REQUEST, known=frozenset(range(1, 7))
    )
    return EnrolmentRequest(
        token=cbor.sized_bytes(fields.get(1), f"{_REQUEST}.token", TOKEN_BYTES),
        csr=read_csr(fields.get(2), f"{_REQUEST}.csr"),
        key=VerifyKey.from_cose(fields.get(3)),
        serial=_read_label(fields.get(4), f"{_REQUEST}.serial"),
        model=_read_label(fields.get(5), f"{_REQUEST}.model"),
        firmware=_read_label(fields.get(6), f"{_REQUEST}.firmware"),
    )


def _read_label(value: Any, where: str) -> str:
    """A text of a stranger that operators will read on their terminals: nothing in it may steer one."""
    text = cbor.text(value, where, 1, VERSION_CHARS)
    if not text.isprintable():
        raise MalformedError(where, "a character that cannot be printed")
    return text
