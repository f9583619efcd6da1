"""Targets for signed objects: what lies behind the signature, which stand-ins let pass."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from protocol import (
    base45,
    batch,
    checkin,
    codes,
    command,
    devicekey,
    enrolment,
    envelope,
    placecode,
    placerequest,
    policy,
    receipt,
    renewal,
    resolve,
    statuslist,
    timehint,
    trace,
    trust,
)
from protocol.envelope import TYP_STATUS_LIST
from protocol.errors import ProtocolError
from protocol.statuslist import StatusList, apply_delta
from tests.fuzz.seeds import LONGEST_BYTES, claims, payloads, vectors
from tests.fuzz.stand_ins import ANY_KEY, ANY_KEYS, ANY_TRUST, PUBLIC, UNSIGNED, sealed
from tests.fuzz.target import Target, require, round_trip
from tests.fuzz.world import DEVICE, NOW_S

Open = Callable[[bytes], Any]


def _open_code(data: bytes) -> codes.Code:
    code = codes.parse_text(codes.to_text(data))
    codes.verify(code, key=ANY_KEY)
    return code.claims


def _open_checkin(data: bytes) -> checkin.CheckIn:
    found = checkin.parse_checkin(data)
    checkin.verify_checkin(found, key=ANY_KEY)
    return found.checkin


def _open_list(data: bytes) -> Any:
    token = statuslist.open_list(data, trust=ANY_TRUST, at_s=0)
    statuses = StatusList(token.packed)
    require(0 <= statuses.get(statuses.size - 1) <= 3, "a status of more than two bits")
    return token


def _open_delta(data: bytes) -> Any:
    delta = statuslist.open_delta(data, trust=ANY_TRUST, at_s=NOW_S)
    packed = bytearray(64)
    try:
        apply_delta(packed, delta)
    except ProtocolError:
        require(not any(packed), "a delta that was refused has changed the list")
    else:
        statuses = StatusList(packed)
        require(all(statuses.get(at) == status for at, status in delta.changes), "a change that was not written")
    return delta


def _open_policy(data: bytes) -> policy.GatePolicy:
    return policy.open_policy(data, hub_keys=ANY_KEYS, device=DEVICE, place="mall-1", gate="north.2")


def _open_command(data: bytes) -> command.Command:
    return command.open_command(data, hub_keys=ANY_KEYS, device=DEVICE)


def _hint(data: bytes) -> timehint.TimeHint:
    return timehint.open_time(
        data,
        hub_keys=ANY_KEYS,
        device=DEVICE,
        session=bytes.fromhex("e1bbb026c8e5e54b"),
    )


def open_resolved(data: bytes) -> resolve.Resolved:
    return resolve.open_resolved(
        data,
        trust=ANY_TRUST,
        at_s=0,
        device=DEVICE,
        id=bytes.fromhex("23c166b2e7278c4a92f51343a26982e4"),
    )


def _open_place_code(data: bytes) -> placecode.PlaceCode:
    code = placecode.open_place_code(placecode.place_code_text(data), trust=ANY_TRUST, at_s=NOW_S)
    require(code.name.isprintable(), "a name that could steer what shows it")
    return code


def _place_code_bytes(code: placecode.PlaceCode) -> bytes:
    return base45.decode(placecode.seal_place_code(code, key=UNSIGNED).removeprefix(placecode.PREFIX))


def _place_codes() -> Iterator[bytes]:
    for vector in vectors("place-codes"):
        try:
            data = base45.decode(vector["input"]["text"].removeprefix(placecode.PREFIX))
            yield envelope.parse(data, what="seed", limit=LONGEST_BYTES).payload
        except ProtocolError:
            continue


def _applicants() -> Iterator[bytes]:
    for vector in vectors("applicants"):
        if "plaintext_hex" in vector:
            yield bytes.fromhex(vector["plaintext_hex"])


def _request(payload: bytes) -> None:
    """Its signature is by the key inside it, so what is read before that is called by itself."""
    request = enrolment._read_request(payload)
    require(request.serial.isprintable() and request.model.isprintable(), "a label that could steer a terminal")


class _Root:
    """The pinned root, as `open_trust` compares it."""

    kid = PUBLIC.kid
    alg = PUBLIC.alg

    def verify(self, _message: bytes, _signature: bytes) -> None:
        """Fits."""


def _open_trust(data: bytes) -> trust.TrustBundle:
    return trust.open_trust(data, root=_Root())  # type: ignore[arg-type]


_ISSUER = SimpleNamespace(keys=(SimpleNamespace(key=_Root()),))
_TRACERS: Any = SimpleNamespace(find=ANY_TRUST.find, issuer_of=lambda _kid: _ISSUER)


def _open_trace(data: bytes) -> trace.TraceQuery:
    query = trace.read_trace_query(data, trust=_TRACERS)
    require(query.why.isprintable(), "a case number that steers a terminal")
    return query


def _open_trace_answer(data: bytes) -> trace.TraceAnswer:
    answer = trace.open_trace_answer(data, key=ANY_KEY)
    require(len(answer.whole) + len(answer.bare) <= answer.told, "more rows than were told")
    return answer


def _behind(name: str, decoder: str, open_: Open, seal, seeds, *, bytes_max: int = 256, typ=None) -> Target:
    """A target whose input is the payload; the envelope is put around it, and its signature passes."""

    def check(payload: bytes) -> None:
        data = sealed(payload, typ=typ)
        value = open_(data)
        if seal is not None:
            round_trip(value, data, encode=seal, decode=open_)

    return Target(
        name=name,
        decoder=decoder,
        check=check,
        refuses=(ProtocolError,),
        seeds=payloads(seeds) if isinstance(seeds, str) else seeds,
        bytes_max=bytes_max,
    )


def _with(seal) -> Callable[[Any], bytes]:
    return lambda value: seal(value, key=UNSIGNED)


TARGETS = (
    _behind("code", "protocol.codes, the claims", _open_code, None, claims),
    _behind("checkin", "protocol.checkin.parse_checkin", _open_checkin, _with(checkin.seal_checkin), "checkins"),
    _behind(
        "receipt",
        "protocol.receipt.open_receipt",
        lambda data: receipt.open_receipt(data, key=ANY_KEY),
        _with(receipt.seal_receipt),
        "receipts",
        bytes_max=160,
    ),
    _behind(
        "batch",
        "protocol.batch.open_batch",
        lambda data: batch.open_batch(data, key=ANY_KEY),
        _with(batch.seal_batch),
        "batches",
        bytes_max=700,
    ),
    _behind(
        "batch-receipt",
        "protocol.batch.open_batch_receipt",
        lambda data: batch.open_batch_receipt(data, key=ANY_KEY),
        _with(batch.seal_batch_receipt),
        "batch-receipts",
    ),
    _behind(
        "status-list",
        "protocol.statuslist.open_list",
        _open_list,
        _with(statuslist.seal_list),
        "status-lists",
        typ=TYP_STATUS_LIST,
    ),
    _behind(
        "status-delta",
        "protocol.statuslist.open_delta, apply_delta",
        _open_delta,
        _with(statuslist.seal_delta),
        "status-deltas",
    ),
    _behind("trust", "protocol.trust.open_trust", _open_trust, _with(trust.seal_trust), "trust", bytes_max=640),
    _behind("policy", "protocol.policy.open_policy", _open_policy, _with(policy.seal_policy), "policies"),
    _behind("command", "protocol.command.open_command", _open_command, _with(command.seal_command), "commands"),
    _behind(
        "wipe-proof",
        "protocol.command.open_wipe_proof",
        lambda data: command.open_wipe_proof(data, key=ANY_KEY),
        _with(command.seal_wipe_proof),
        "wipe-proofs",
        bytes_max=192,
    ),
    _behind(
        "place-code",
        "protocol.placecode.open_place_code",
        _open_place_code,
        _place_code_bytes,
        _place_codes,
    ),
    _behind(
        "place-request",
        "protocol.placerequest.open_place_request",
        lambda data: placerequest.open_place_request(data, key=ANY_KEY),
        _with(placerequest.seal_place_request),
        "place-requests",
        bytes_max=1024,
    ),
    Target(
        name="applicant",
        decoder="protocol.placerequest.open_applicant, what was sealed",
        check=lambda data: require(placerequest._read_applicant(data).phone.isprintable(), "steers a terminal"),
        refuses=(ProtocolError,),
        seeds=_applicants,
        bytes_max=160,
    ),
    Target(
        name="enrolment-request",
        decoder="protocol.enrolment.open_request, before its signature",
        check=_request,
        refuses=(ProtocolError,),
        seeds=payloads("enrolments"),
        bytes_max=512,
    ),
    _behind(
        "renewal-request",
        "protocol.renewal.open_renewal",
        lambda data: renewal.open_renewal(data, key_of=lambda _kid: ANY_KEY),
        None,
        "renewals",
        bytes_max=640,
    ),
    _behind(
        "device-key",
        "protocol.devicekey.open_device_key",
        lambda data: devicekey.open_device_key(data, key=ANY_KEY),
        _with(devicekey.seal_device_key),
        "device-keys",
    ),
    _behind("resolved", "protocol.resolve.open_resolved", open_resolved, _with(resolve.seal_resolved), "resolved"),
    _behind("trace-query", "protocol.trace.read_trace_query", _open_trace, _with(trace.seal_trace_query), "traces"),
    _behind(
        "trace-answer",
        "protocol.trace.open_trace_answer",
        _open_trace_answer,
        _with(trace.seal_trace_answer),
        "trace-answers",
        bytes_max=900,
    ),
    _behind("time-hint", "protocol.timehint.open_time", _hint, _with(timehint.seal_time), "time-hints", bytes_max=96),
)
