"""The gate policy: what the operator wants of one gate, signed by the hub, versioned and retained.

It names its device, place and gate, so that a policy for one gate can never be in force at another. Wire form: a map
with keys 1 to 20, see `_to_map`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol import cbor, envelope
from protocol.checkin import DEVICE_BYTES
from protocol.envelope import AAD_POLICY
from protocol.errors import LimitError, MalformedError, RollbackError
from protocol.keys import SigningKey, VerifyKey
from protocol.limits import POLICY_BYTES, RESOLVE_PREFIX_CHARS, RESOLVE_PREFIXES
from protocol.terms import Direction, Verdict

_WHAT = "policy"
_KNOWN = frozenset(range(1, 21))
_DAY_MIN = 24 * 60
_GREEN = frozenset({Verdict.ADMIT, Verdict.HOLD})
_YELLOW = frozenset({Verdict.HOLD, Verdict.REFUSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When every sound but the siren is silent: minutes of the local day, the end not included; may pass midnight."""

    from_min: int
    to_min: int
    utc_offset_min: int

    def covers(self, at_s: int) -> bool:
        """Whether that moment, in seconds since 1970, is quiet."""
        minute = (at_s // 60 + self.utc_offset_min) % _DAY_MIN
        if self.from_min < self.to_min:
            return self.from_min <= minute < self.to_min
        return minute >= self.from_min or minute < self.to_min


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What one gate does. `green`, `notice` and `yellow` are its verdict table; red is always refused.

    A version of 0 is a gate's own default, which no hub sends.
    """

    device: bytes
    version: int
    issued_s: int
    place: str
    gate: str
    direction: Direction = Direction.IN
    enabled: bool = True
    closed: bool = False
    green: Verdict = Verdict.ADMIT
    notice: Verdict = Verdict.HOLD
    yellow: Verdict = Verdict.HOLD
    leeway_s: int = 30
    reuse_s: int = 300
    stale_s: int = 14_400
    light_ms: int = 3000
    open_ms: int = 3000
    keep_masked: bool = False
    temperature_max_cc: int | None = None
    quiet: QuietHours | None = None
    resolve_prefixes: tuple[str, ...] = ()
    resolve_cards: bool = False
    resolve_cache_s: int = 0


def seal_policy(policy: GatePolicy, *, key: SigningKey) -> bytes:
    """Policy -> signed bytes, as the hub makes them.

    Raises:
        LimitError, MalformedError: a policy that a gate would refuse.
    """
    payload = cbor.encode(_to_map(policy))
    _read_policy(payload)
    data = envelope.seal(payload, key=key, aad=AAD_POLICY)
    if len(data) > POLICY_BYTES:
        raise LimitError(_WHAT, f"{len(data)} bytes, at most {POLICY_BYTES} are allowed")
    return data


def open_policy(
    data: bytes,
    *,
    hub_keys: Mapping[bytes, VerifyKey],
    device: bytes,
    place: str,
    gate: str,
    current_version: int = 0,
) -> GatePolicy:
    """Bytes -> policy.

    1. The envelope, within its limit.
    2. Signed by one of the hub's keys.
    3. The policy, each field within its bounds.
    4. For this device, place and gate.
    5. Not older than the one in force.

    Args:
        data: the bytes as received.
        hub_keys: the hub's keys by their kid.
        device: the device that asks, 8 bytes.
        place: where it stands.
        gate: which gate it serves.
        current_version: that of the policy in force; 0 is none.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a policy, or one for another gate.
        UnknownKeyError: signed by none of the hub's keys.
        SignatureError: the signature does not fit.
        RollbackError: older than `current_version`.
    """
    # 1.
    sealed = envelope.parse(data, what=_WHAT, limit=POLICY_BYTES)
    # 2.
    envelope.verify_among(sealed, keys=hub_keys, aad=AAD_POLICY, what=_WHAT)
    # 3.
    policy = _read_policy(sealed.payload)
    # 4.
    if policy.device != device:
        raise MalformedError("policy.device", "made for another device")
    if (policy.place, policy.gate) != (place, gate):
        raise MalformedError("policy.gate", f"made for {policy.gate} at {policy.place}, not for {gate} at {place}")
    # 5.
    if policy.version < current_version:
        raise RollbackError(_WHAT, f"version {policy.version} is older than {current_version}")
    return policy


def parse_policy(data: bytes) -> GatePolicy:
    """Bytes -> policy whose signature has NOT been verified: for the hub, about what it has signed and kept itself.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a policy.
    """
    return _read_policy(envelope.parse(data, what=_WHAT, limit=POLICY_BYTES).payload)


def _to_map(policy: GatePolicy) -> dict[int, Any]:
    quiet = policy.quiet
    fields = {
        1: policy.device,
        2: policy.version,
        3: policy.issued_s,
        4: policy.place,
        5: policy.gate,
        6: policy.direction,
        7: policy.enabled,
        8: policy.closed,
        9: [policy.green, policy.notice, policy.yellow],
        10: policy.leeway_s,
        11: policy.reuse_s,
        12: policy.stale_s,
        13: policy.light_ms,
        14: policy.open_ms,
        15: policy.keep_masked,
        16: policy.temperature_max_cc,
        17: None if quiet is None else [quiet.from_min, quiet.to_min, quiet.utc_offset_min],
        18: policy.resolve_prefixes,
        19: policy.resolve_cards,
        20: policy.resolve_cache_s,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _read_policy(payload: bytes) -> GatePolicy:
    fields = cbor.fields(cbor.decode(payload, what=_WHAT, limit=POLICY_BYTES), what=_WHAT, known=_KNOWN)
    get = fields.get
    green, notice, yellow = _read_verdicts(get(9))
    return GatePolicy(
        device=cbor.sized_bytes(get(1), "policy.device", DEVICE_BYTES),
        version=cbor.seq(get(2), "policy.version"),
        issued_s=cbor.time_s(get(3), "policy.issued"),
        place=cbor.name(get(4), "policy.place"),
        gate=cbor.name(get(5), "policy.gate"),
        direction=cbor.member(get(6), "policy.direction", Direction),
        enabled=cbor.boolean(get(7), "policy.enabled"),
        closed=cbor.boolean(get(8), "policy.closed"),
        green=green,
        notice=notice,
        yellow=yellow,
        leeway_s=cbor.integer(get(10), "policy.leeway", 0, 300),
        reuse_s=cbor.integer(get(11), "policy.reuse", 1, 86_400),
        stale_s=cbor.integer(get(12), "policy.stale", 60, 604_800),
        light_ms=cbor.integer(get(13), "policy.light", 1, 60_000),
        open_ms=cbor.integer(get(14), "policy.open", 1, 60_000),
        keep_masked=cbor.boolean(get(15), "policy.keep_masked"),
        temperature_max_cc=cbor.integer(get(16), "policy.temperature_max", 3000, 4500) if 16 in fields else None,
        quiet=_read_quiet(get(17)) if 17 in fields else None,
        resolve_prefixes=_read_prefixes(get(18)),
        resolve_cards=cbor.boolean(get(19), "policy.resolve_cards"),
        resolve_cache_s=cbor.integer(get(20), "policy.resolve_cache", 0, 3600),
    )


def _read_verdicts(value: Any) -> tuple[Verdict, Verdict, Verdict]:
    where = "policy.verdicts"
    if type(value) is not list or len(value) != 3:
        raise MalformedError(where, "missing" if value is None else "not three verdicts")
    green, notice, yellow = (cbor.member(item, where, Verdict) for item in value)
    if green not in _GREEN or notice not in _GREEN:
        raise MalformedError(where, "green and notice are admitted or held")
    if yellow not in _YELLOW:
        raise MalformedError(where, "yellow is held or refused")
    return green, notice, yellow


def _read_quiet(value: Any) -> QuietHours:
    where = "policy.quiet"
    if type(value) is not list or len(value) != 3:
        raise MalformedError(where, "not three numbers")
    quiet = QuietHours(
        from_min=cbor.integer(value[0], f"{where}.from", 0, _DAY_MIN - 1),
        to_min=cbor.integer(value[1], f"{where}.to", 0, _DAY_MIN - 1),
        utc_offset_min=cbor.integer(value[2], f"{where}.utc_offset", -720, 840),
    )
    if quiet.from_min == quiet.to_min:
        raise MalformedError(where, "ends when it begins: all day or never")
    return quiet


def _read_prefixes(value: Any) -> tuple[str, ...]:
    where = "policy.resolve_prefixes"
    if type(value) is not list or len(value) > RESOLVE_PREFIXES:
        raise MalformedError(where, "missing" if value is None else f"not a list of at most {RESOLVE_PREFIXES}")
    return tuple(cbor.text(item, f"{where}[{at}]", 1, RESOLVE_PREFIX_CHARS) for at, item in enumerate(value))
