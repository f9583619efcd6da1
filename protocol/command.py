"""What an operator tells one device to do, what it answers, and the proof that it forgot everything.

A command is signed by the hub, names its device, runs once and lives at most a day. A result travels under the
device's own topic and is not signed; the proof of a wipe is, because it is shown to others later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES, EPOCH_BYTES, GENESIS, HASH_BYTES
from protocol.envelope import AAD_COMMAND, AAD_WIPE
from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import COMMAND_BYTES, COMMAND_LIFE_S, RESULT_BYTES, RESULT_DETAIL_BYTES, WIPE_PROOF_BYTES
from protocol.release import RELEASE_MAX

COMMAND_ID_BYTES = 16


class CommandName(StrEnum):
    """What a device can be told."""

    LOCATE = "locate"
    TEST_SCAN = "test_scan"
    OPEN_ONCE = "open_once"
    HOLD_OPEN = "hold_open"
    CLOSE = "close"
    DISABLE = "disable"
    ENABLE = "enable"
    RESTART = "restart"
    ROTATE_KEYS = "rotate_keys"
    SEND_LOGS = "send_logs"
    UPDATE = "update"
    WIPE = "wipe"


ARGUMENTS: Final[Mapping[CommandName, Mapping[str, tuple[int, int] | None]]] = {
    CommandName.LOCATE: {"seconds": (1, 300)},
    CommandName.HOLD_OPEN: {"minutes": (1, 720)},
    CommandName.SEND_LOGS: {"lines": (1, 500)},
    CommandName.UPDATE: {"release": (1, RELEASE_MAX)},
    CommandName.WIPE: {"even_unsent": None},
}
"""The arguments of those commands that have any, with their bounds; None is true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One order to one device. `args` holds exactly the arguments that the name has in `ARGUMENTS`."""

    device: bytes
    id: bytes
    name: CommandName
    args: Mapping[str, int | bool] = field(default_factory=dict)
    issued_s: int
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What came of a command; `proof` is a sealed wipe proof."""

    id: bytes
    ok: bool
    detail: str
    proof: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeProof:
    """What a device held when it erased itself; `unsent` check-ins had no receipt and are lost."""

    device: bytes
    command_id: bytes
    at_ms: int
    epoch: bytes
    newest_seq: int
    head_hash: bytes
    unsent: int


def seal_command(command: Command, *, key: SigningKey) -> bytes:
    """Command -> signed bytes, as the hub makes them.

    Raises:
        LimitError, MalformedError, UnsupportedError: a command that a device would refuse.
    """
    payload = cbor.encode(
        {
            1: command.id,
            2: str(command.name),
            3: dict(command.args),
            4: command.issued_s,
            5: command.expires_s,
            6: command.device,
        }
    )
    _read_command(payload)
    return envelope.seal(payload, key=key, aad=AAD_COMMAND)


def open_command(data: bytes, *, hub_keys: Mapping[bytes, VerifyKey], device: bytes) -> Command:
    """Bytes -> command. The caller judges the time, and whether the id ran before.

    1. The envelope, within its limit.
    2. Signed by one of the hub's keys.
    3. A known name with exactly its arguments; it lives at most a day.
    4. For this device.

    Args:
        data: the bytes as received.
        hub_keys: the hub's keys by their kid.
        device: the device that asks, 8 bytes.

    Raises:
        LimitError, MalformedError: not a command, or one for another device.
        UnsupportedError: a critical header, or a name that this version does not know.
        UnknownKeyError: signed by none of the hub's keys.
        SignatureError: the signature does not fit.
    """
    # 1.
    sealed = envelope.parse(data, what="command", limit=COMMAND_BYTES)
    # 2.
    envelope.verify_among(sealed, keys=hub_keys, aad=AAD_COMMAND, what="command")
    # 3.
    command = _read_command(sealed.payload)
    # 4.
    if command.device != device:
        raise MalformedError("command.device", "made for another device")
    return command


def encode_result(result: CommandResult) -> bytes:
    """Result -> `{1: id, 2: ok, 3: detail, 4: proof?}`.

    Raises:
        LimitError, MalformedError: a result that the hub would refuse.
    """
    fields: dict[int, Any] = {1: result.id, 2: result.ok, 3: result.detail}
    if result.proof is not None:
        fields[4] = result.proof
    data = cbor.encode(fields)
    decode_result(data)
    return data


def decode_result(data: bytes) -> CommandResult:
    """Bytes -> result.

    Raises:
        LimitError, MalformedError: naming the field that is wrong.
    """
    what = "result"
    fields = cbor.fields(cbor.decode(data, what=what, limit=RESULT_BYTES), what=what, known=frozenset(range(1, 5)))
    detail = cbor.text(fields.get(3), "result.detail", 0, RESULT_DETAIL_BYTES)
    if len(detail.encode()) > RESULT_DETAIL_BYTES:
        raise LimitError("result.detail", f"more than {RESULT_DETAIL_BYTES} bytes")
    return CommandResult(
        id=cbor.sized_bytes(fields.get(1), "result.id", COMMAND_ID_BYTES),
        ok=cbor.boolean(fields.get(2), "result.ok"),
        detail=detail,
        proof=cbor.sized_bytes(fields[4], "result.proof", 1, WIPE_PROOF_BYTES) if 4 in fields else None,
    )


def seal_wipe_proof(proof: WipeProof, *, key: SigningKey) -> bytes:
    """Proof -> signed bytes, the last thing that the device's key signs.

    Raises:
        MalformedError: a proof that the hub would refuse.
    """
    payload = cbor.encode(
        {
            1: proof.device,
            2: proof.command_id,
            3: proof.at_ms,
            4: proof.epoch,
            5: proof.newest_seq,
            6: proof.head_hash,
            7: proof.unsent,
        }
    )
    _read_proof(payload)
    return envelope.seal(payload, key=key, aad=AAD_WIPE)


def open_wipe_proof(data: bytes, *, key: VerifyKey) -> WipeProof:
    """Bytes -> proof, verified with the device's key. The caller compares device and command with its own.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a wipe proof.
        SignatureError: the device did not sign it.
    """
    sealed = envelope.parse(data, what="wipe proof", limit=WIPE_PROOF_BYTES)
    envelope.verify(sealed, key=key, aad=AAD_WIPE)
    return _read_proof(sealed.payload)


def _read_command(payload: bytes) -> Command:
    what = "command"
    fields = cbor.fields(cbor.decode(payload, what=what, limit=COMMAND_BYTES), what=what, known=frozenset(range(1, 7)))
    name = _read_name(fields.get(2))
    issued_s = cbor.time_s(fields.get(4), "command.issued")
    expires_s = cbor.time_s(fields.get(5), "command.expires")
    if not issued_s < expires_s <= issued_s + COMMAND_LIFE_S:
        raise MalformedError("command.expires", f"not within {COMMAND_LIFE_S} s after issued")
    return Command(
        device=cbor.sized_bytes(fields.get(6), "command.device", DEVICE_BYTES),
        id=cbor.sized_bytes(fields.get(1), "command.id", COMMAND_ID_BYTES),
        name=name,
        args=_read_args(fields.get(3), name),
        issued_s=issued_s,
        expires_s=expires_s,
    )


def _read_name(value: Any) -> CommandName:
    text = cbor.text(value, "command.name", 1, 32)
    try:
        return CommandName(text)
    except ValueError as error:
        raise UnsupportedError("command.name", f"{text!r} is no command of this version") from error


def _read_args(value: Any, name: CommandName) -> dict[str, int | bool]:
    where = "command.args"
    allowed = ARGUMENTS.get(name, {})
    if type(value) is not dict or value.keys() != allowed.keys():
        raise MalformedError(where, f"{name} takes {', '.join(allowed) or 'no arguments'} and nothing else")
    return {
        key: cbor.boolean(value[key], f"{where}.{key}")
        if bounds is None
        else cbor.integer(value[key], f"{where}.{key}", *bounds)
        for key, bounds in allowed.items()
    }


def _read_proof(payload: bytes) -> WipeProof:
    what = "wipe proof"
    fields = cbor.fields(
        cbor.decode(payload, what=what, limit=WIPE_PROOF_BYTES), what=what, known=frozenset(range(1, 8))
    )
    proof = WipeProof(
        device=cbor.sized_bytes(fields.get(1), "wipe proof.device", DEVICE_BYTES),
        command_id=cbor.sized_bytes(fields.get(2), "wipe proof.command", COMMAND_ID_BYTES),
        at_ms=cbor.time_ms(fields.get(3), "wipe proof.at"),
        epoch=cbor.sized_bytes(fields.get(4), "wipe proof.epoch", EPOCH_BYTES),
        newest_seq=cbor.seq(fields.get(5), "wipe proof.newest", least=0),
        head_hash=cbor.sized_bytes(fields.get(6), "wipe proof.head", HASH_BYTES),
        unsent=cbor.seq(fields.get(7), "wipe proof.unsent", least=0),
    )
    if proof.newest_seq == 0 and proof.head_hash != GENESIS:
        raise MalformedError("wipe proof.head", "nothing was recorded, yet there is a hash")
    if proof.unsent > proof.newest_seq:
        raise MalformedError("wipe proof.unsent", "more than were ever recorded")
    return proof
