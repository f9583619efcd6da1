"""Targets of the scan: all that a gate does with what a person may show."""

from device.model import ResolvedCode, Shown
from device.scan.decide import decide, used_until_ms
from device.scan.online import Online
from device.scan.record import Lane, draft
from device.scan.sight import Sight, scheme_of
from device.scan.verify import verify_text
from device.send.seal import seal
from protocol import codes
from protocol.checkin import parse_checkin
from protocol.codes import VerifiedCode
from protocol.errors import ProtocolError
from protocol.policy import GatePolicy
from protocol.terms import Direction, Scheme, Verdict
from protocol.verdict import rules_of
from tests.fuzz.seeds import claims, payloads, texts
from tests.fuzz.signed_targets import open_resolved
from tests.fuzz.stand_ins import ANY_TRUST, UNSIGNED, sealed
from tests.fuzz.target import PropertyError, Target, require
from tests.fuzz.world import CODES, DEVICE, NOW_S

LANE = Lane(place="p" * 32, gate="g" * 32)
POLICY = GatePolicy(
    device=DEVICE,
    version=2**63 - 1,
    issued_s=NOW_S,
    place=LANE.place,
    gate=LANE.gate,
    direction=Direction.IN,
    enabled=True,
    closed=False,
    keep_masked=True,
    resolve_prefixes=("https://health.example/",),
    resolve_cards=True,
)
RULES = rules_of(POLICY, open_for_people=True)


def _answer(shown: Shown) -> None:
    """What becomes of it: a decision and a check-in that the hub can read, whatever was shown."""
    decision = decide(shown, rules=RULES, clock_trusted=True, now_ms=NOW_S * 1000)
    if decision.verdict is Verdict.ADMIT:
        require(isinstance(shown, VerifiedCode | ResolvedCode), "somebody was admitted whom nobody vouched for")
        until_ms = used_until_ms(shown, rules=RULES, now_ms=NOW_S * 1000)
        require(until_ms > NOW_S * 1000, "admitted, and not remembered")
    record = draft(
        shown,
        decision,
        lane=LANE,
        policy=POLICY,
        at_ms=NOW_S * 1000,
        clock_trusted=True,
        status_version=2**63 - 1,
        temperature_cc=3650,
    )
    try:
        data = seal(record, device=DEVICE, epoch=bytes(8), seq=2**63 - 1, prev=bytes(32), key=UNSIGNED)
        parse_checkin(data)
    except ProtocolError as error:
        raise PropertyError(f"an answer that cannot be recorded: {error}") from error


def _scan_text(data: bytes) -> None:
    """Bytes of a QR code -> all that the gate does with them; nothing may be raised, and nobody unsigned admitted."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    scheme = scheme_of(text, POLICY)
    seen = Sight().see([text, text], now_ms=1.0, is_ours=lambda shown: scheme_of(shown, POLICY) is not None)
    require((seen.code == text) is (scheme is not None), "seen as a code, and not")
    if scheme is Scheme.GATELIGHT:
        shown = verify_text(text, trust=CODES, now_s=NOW_S)
        require(not isinstance(shown, VerifiedCode) or text in _known_texts(), "a code passed that nobody signed")
        _answer(shown)
    elif scheme is not None:
        online = Online(resolver=None, pepper=bytes(32))
        refusal = online.ask(text, scheme, cache_s=0, shown_ns=0, now_ns=0)
        require(refusal is not None, "asked without anybody to ask")
        _answer(refusal)


_KNOWN: list[frozenset[str]] = []


def _known_texts() -> frozenset[str]:
    if not _KNOWN:
        _KNOWN.append(frozenset(data.decode() for data in texts("codes")()))
    return _KNOWN[0]


def _scan_code(payload: bytes) -> None:
    """Claims that an issuer signed, good or bad -> all that the gate does with them."""
    _answer(verify_text(codes.to_text(sealed(payload)), trust=ANY_TRUST, now_s=NOW_S))


def _scan_resolved(payload: bytes) -> None:
    """An answer that the platform signed -> all that the gate does with it."""
    said = open_resolved(sealed(payload))
    if not said.found or said.colour is None:
        return
    shown = ResolvedCode(
        scheme=Scheme.OPAQUE,
        code_hash=bytes(16),
        colour=said.colour,
        subject=said.subject,
        issued_s=said.issued_s,
        masked=said.masked,
        rule=said.rule,
        issuer_kid=said.issuer_kid,
    )
    _answer(shown)


TARGETS = (
    Target(
        name="scan-text",
        decoder="what a gate does with a scanned text: device.scan.sight, verify, decide, record, device.send.seal",
        check=_scan_text,
        seeds=texts("codes", "provisioning", "id-numbers"),
        words=(b"GL1:", b"GLE1:", b"https://health.example/", "\u0661".encode()),
    ),
    Target(
        name="scan-code",
        decoder="the same, with claims behind a good signature",
        check=_scan_code,
        seeds=claims,
    ),
    Target(
        name="scan-resolved",
        decoder="the same, with the platform's answer to a look-up",
        check=_scan_resolved,
        seeds=payloads("resolved"),
        bytes_max=900,
        refuses=(ProtocolError,),
    ),
)
