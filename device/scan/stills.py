"""Pictures -> verdicts, without a gate: what `gatelight-device scan` does. Nothing is recorded, and nobody admitted."""

import time
from dataclasses import dataclass

from device.model import Frame
from device.scan.decide import decide
from device.scan.decode import DecoderProcess
from device.scan.verify import verify_text
from protocol.codes import is_code
from protocol.trust import TrustBundle
from protocol.verdict import Decision, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One text of a picture. `decision` is None for a text that is no Gatelight code, or without a trust bundle."""

    text: str
    scheme: str
    decision: Decision | None
    verify_ms: float
    decide_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StillResult:
    """What one picture holds. `not_text` codes were read, but are no UTF-8; `lost`: the decoder died over it."""

    readings: tuple[Reading, ...]
    not_text: int
    decode_ms: float
    lost: bool


def read_still(
    frame: Frame, *, decoder: DecoderProcess, trust: TrustBundle | None, rules: Rules, now_ms: int, clock_trusted: bool
) -> StillResult:
    """Decodes one picture and judges each code in it on its own, as if it were shown to a gate now."""
    before = decoder.counts.undecodable
    decoded = decoder.decode(frame)
    readings = tuple(
        _read(text, trust=trust, rules=rules, now_ms=now_ms, clock_trusted=clock_trusted) for text in decoded.texts
    )
    not_text = decoder.counts.undecodable - before
    return StillResult(readings=readings, not_text=not_text, decode_ms=decoded.decode_ms, lost=decoded.lost)


def _read(text: str, *, trust: TrustBundle | None, rules: Rules, now_ms: int, clock_trusted: bool) -> Reading:
    if not is_code(text) or trust is None:
        scheme = "gatelight" if is_code(text) else "none"
        return Reading(text=text, scheme=scheme, decision=None, verify_ms=0.0, decide_ms=0.0)
    began = time.perf_counter()
    shown = verify_text(text, trust=trust, now_s=now_ms // 1000)
    verified = time.perf_counter()
    decision = decide(shown, rules=rules, clock_trusted=clock_trusted, now_ms=now_ms)
    return Reading(
        text=text,
        scheme="gatelight",
        decision=decision,
        verify_ms=(verified - began) * 1000,
        decide_ms=(time.perf_counter() - verified) * 1000,
    )
