"""Data that nobody here wrote. Each set is counted, and the counts and exceptions must be those of docs/conformance.md.

An exception is a case whose outcome here is not the one that its authors expect; each one stands in the document with
its reason. What the sets expect beyond this wire (schemas, key usage, pictures) is counted as not judged.
"""

import base64
import hashlib
import json
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import base45, envelope, statuslist
from protocol.errors import MalformedError, ProtocolError, UnsupportedError
from protocol.keys import VerifyKey, low_s
from protocol.statuslist import StatusList

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
DOCUMENT = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
HC1_LIMIT_BYTES = 8192


@dataclass
class Tally:
    accepted: int = 0
    refused: int = 0
    not_judged: int = 0
    exceptions: set = field(default_factory=set)

    def judge(self, name, *, expected, got):
        if got != expected:
            self.exceptions.add(name)
        elif got:
            self.accepted += 1
        else:
            self.refused += 1

    @property
    def row(self):
        total = self.accepted + self.refused + len(self.exceptions) + self.not_judged
        return total, self.accepted, self.refused, len(self.exceptions), self.not_judged


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def holds(check, *args):
    """Whether a check passes; a refusal of ours is a False, anything else an error of the test."""
    try:
        return check(*args)
    except ProtocolError:
        return False


def count_base45():
    data, tally = load(DATA / "base45" / "vectors.json"), Tally()
    for plain, text in data["good_hex_to_base45"]:
        raw = bytes.fromhex(plain)
        tally.judge(
            text, expected=True, got=holds(lambda t, r: base45.decode(t) == r and base45.encode(r) == t, text, raw)
        )
    for text in data["must_be_rejected"]:
        tally.judge(text, expected=False, got=holds(lambda t: base45.decode(t) is not None, text))
    return tally


def cose_key(given):
    def raw(name):
        text = given[name] if name in given else base64.b16encode(bytes.fromhex(given[f"{name}_hex"])).decode()
        return bytes.fromhex(text) if name not in given else base64.urlsafe_b64decode(text + "==")

    if given["kty"] == "EC":
        curve = {"P-256": 1, "P-384": 2, "P-521": 3}[given["crv"]]
        return VerifyKey.from_cose({1: 2, -1: curve, -2: raw("x"), -3: raw("y")})
    return VerifyKey.from_cose({1: 1, -1: {"Ed25519": 6, "Ed448": 7}[given["crv"]], -2: raw("x")})


def count_cose():
    tally = Tally()
    for path in sorted((DATA / "cose-wg-examples").rglob("*.json")):
        data = load(path)
        given = data["input"]["sign0"]

        def check(data=data, given=given):
            sealed = envelope.parse_foreign(bytes.fromhex(data["output"]["cbor"]), limit=4096)
            aad = bytes.fromhex(given.get("external", ""))
            envelope.verify_foreign(sealed, key=cose_key(given["key"]), aad=aad)
            return True

        tally.judge(path.stem, expected=not data.get("fail", False), got=holds(check))
    return tally


def wycheproof(name):
    for group in load(DATA / "wycheproof" / name)["testGroups"]:
        for test in group["tests"]:
            yield group["publicKey"], test


def verified(make_key, test):
    make_key().verify(bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
    return True


def count_ed25519():
    tally = Tally()
    for public, test in wycheproof("ed25519_test.json"):
        got = holds(verified, lambda public=public: VerifyKey.ed25519(bytes.fromhex(public["pk"])), test)
        tally.judge(f"tcId {test['tcId']}", expected=test["result"] == "valid", got=got)
    return tally


def p256_key(public):
    x, y = (int(public[part], 16).to_bytes(32, "big") for part in ("wx", "wy"))
    return VerifyKey.p256(x, y)


def count_p256():
    tally = Tally()
    for public, test in wycheproof("ecdsa_secp256r1_sha256_p1363_test.json"):
        got = holds(verified, lambda public=public: p256_key(public), test)
        tally.judge(f"tcId {test['tcId']}", expected=test["result"] == "valid", got=got)
    return tally


def inflate(data):
    """At most 8 KiB of zlib, as HC1 wraps its codes."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, HC1_LIMIT_BYTES)
    if not inflater.eof:
        raise zlib.error("longer than the limit, or cut off")
    return inflated


def hc1_opened(data):
    return envelope.parse_foreign(bytes.fromhex(data["COSE"]), limit=HC1_LIMIT_BYTES)


def hc1_key(certificate):
    numbers = x509.load_der_x509_certificate(certificate).public_key().public_numbers()
    if not isinstance(numbers, ec.EllipticCurvePublicNumbers):
        raise UnsupportedError("certificate", "an RSA key")
    return VerifyKey.p256(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))


def hc1_unprefix(data):
    return data["PREFIX"].startswith("HC1:") and data["PREFIX"][4:] == data["BASE45"]


def hc1_b45(data):
    decoded = base45.decode(data["BASE45"])
    if "COMPRESSED" in data:
        return decoded == bytes.fromhex(data["COMPRESSED"])
    return inflate(decoded) == bytes.fromhex(data["COSE"])


def hc1_compression(data):
    try:
        return inflate(bytes.fromhex(data["COMPRESSED"])) == bytes.fromhex(data["COSE"])
    except zlib.error:
        return False


def hc1_verify(data):
    """HC1's rule: the kid is the first 8 bytes of SHA-256 of the certificate, from the protected header first."""
    certificate = base64.b64decode(data["TESTCTX"]["CERTIFICATE"])
    sealed = hc1_opened(data)
    if sealed.kid != hashlib.sha256(certificate).digest()[:8]:
        return False
    envelope.verify_foreign(sealed, key=hc1_key(certificate))
    return True


def hc1_decode(data):
    """Some countries put all claims into CBOR, others the health certificate alone."""
    try:
        written = cbor2.loads(bytes.fromhex(data["CBOR"]))
    except cbor2.CBORError:
        return False
    claims = cbor2.loads(hc1_opened(data).payload)
    return written in (claims, claims[-260][1])


def hc1_whole_chain(data):
    code = inflate(base45.decode(data["PREFIX"].removeprefix("HC1:")))
    payload = envelope.parse_foreign(code, limit=HC1_LIMIT_BYTES).payload
    return cbor2.loads(payload)[-260][1] == data["JSON"]


def hc1_expiration(data):
    claims = cbor2.loads(hc1_opened(data).payload)
    clock = datetime.fromisoformat(data["TESTCTX"]["VALIDATIONCLOCK"]).timestamp()
    return claims[6] <= clock <= claims[4]


HC1 = {
    "EXPECTEDUNPREFIX": hc1_unprefix,
    "EXPECTEDB45DECODE": hc1_b45,
    "EXPECTEDCOMPRESSION": hc1_compression,
    "EXPECTEDVERIFY": hc1_verify,
    "EXPECTEDDECODE": hc1_decode,
    "EXPECTEDVALIDJSON": hc1_whole_chain,
    "EXPECTEDEXPIRATIONCHECK": hc1_expiration,
}
NOT_OURS = ("VALIDOBJECT", "SCHEMAVALIDATION", "ENCODE", "KEYUSAGE", "PICTUREDECODE")


@cache
def hc1_files():
    root = DATA / "dgc-testdata"
    return [(path.relative_to(root).with_suffix("").as_posix(), load(path)) for path in sorted(root.rglob("*.json"))]


def count_hc1(expectation):
    tally = Tally()
    for name, data in hc1_files():
        expected = data["EXPECTEDRESULTS"].get(expectation)
        if expected is not None:
            tally.judge(name, expected=expected, got=holds(HC1[expectation], data))
    return tally


def count_hc1_not_ours():
    found = Counter(key for _, data in hc1_files() for key in data["EXPECTEDRESULTS"])
    assert set(found) == {*HC1, *(f"EXPECTED{name}" for name in NOT_OURS)}, "an expectation that nobody has thought of"
    return Tally(not_judged=sum(found[f"EXPECTED{name}"] for name in NOT_OURS))


LISTS = {
    "status_list_encoding": ("small", 1),
    "status_list_encoding2": ("small", 2),
    "status_list_encoding1_long": ("long", 1),
    "status_list_encoding2_long": ("long", 2),
    "status_list_encoding4": ("long", 4),
    "status_list_encoding8": ("long", 8),
}


def draft(name):
    return (DATA / "token-status-list" / f"{name}.md").read_text(encoding="utf-8")


def encoded_list(name, form):
    """A list's width and zlib stream; before them, some files have the bytes in words."""
    text = draft(f"{name}_{form}").rpartition("encoded:")[2]
    if form == "cbor":
        value = cbor2.loads(bytes.fromhex(text))
        return value["bits"], value["lst"]
    value = json.loads("".join(line.strip() for line in text.splitlines()))
    return value["bits"], base64.urlsafe_b64decode(value["lst"] + "==")


def expected_statuses(kind, bits):
    """Index -> status where it is not 0, and the number of entries."""
    expected = load(DATA / "token-status-list" / "expected.json")
    if kind == "small":
        statuses = expected["small"][str(bits)]["statuses"]
        return {index: status for index, status in enumerate(statuses) if status}, len(statuses)
    listed = expected["long"][str(bits)]["nonzero_or_listed"]
    return {int(index): status for index, status in listed.items()}, expected["size"]


def list_agrees(name, form):
    kind, bits = LISTS[name]
    statuses, size = expected_statuses(kind, bits)
    found_bits, lst = encoded_list(name, form)
    made = StatusList(statuslist.inflate(lst, limit_bytes=size * bits // 8), bits=found_bits)
    packed = bytearray(size * bits // 8)
    for index, status in statuses.items():
        packed[index * bits // 8] |= status << index * bits % 8
    return (
        (made.bits, made.size) == (bits, size)
        and made.packed == packed
        and all(made.get(index) == status for index, status in statuses.items())
    )


def draft_claims(name):
    """The claims of one of the draft's tokens, after its signature was checked."""
    sealed = envelope.parse_foreign(bytes.fromhex("".join(draft(name).split())), limit=1024)
    envelope.verify_foreign(sealed, key=cose_key(load(DATA / "token-status-list" / "key.json")))
    assert sealed.kid == b"12"
    return cbor2.loads(sealed.payload), cbor2.loads(sealed.protected)


def list_token_agrees():
    claims, protected = draft_claims("status_list_cwt")
    statuses, size = expected_statuses("small", 1)
    made = StatusList(statuslist.inflate(claims[65533]["lst"], limit_bytes=2), bits=claims[65533]["bits"])
    return (
        protected[16] == envelope.TYP_STATUS_LIST
        and claims[2] == "https://example.com/statuslists/1"
        and claims[6] < claims[4]
        and made.size == size
        and {index: 1 for index in range(size) if made.get(index)} == statuses
    )


def referenced_token_agrees():
    claims, _ = draft_claims("referenced_token_cwt")
    return claims[65535] == {"status_list": {"idx": 0, "uri": "https://example.com/statuslists/1"}}


def count_status_lists():
    tally = Tally()
    for name in LISTS:
        for form in ("cbor", "json"):
            tally.judge(f"{name}_{form}", expected=True, got=holds(list_agrees, name, form))
    tally.judge("status_list_cwt", expected=True, got=holds(list_token_agrees))
    tally.judge("referenced_token_cwt", expected=True, got=holds(referenced_token_agrees))
    return tally


COUNTERS = {
    "base45": count_base45,
    "cose-wg-examples": count_cose,
    "wycheproof ed25519": count_ed25519,
    "wycheproof ecdsa_secp256r1_sha256_p1363": count_p256,
    **{f"dgc-testdata {name}": lambda name=name: count_hc1(name) for name in HC1},
    "dgc-testdata other expectations": count_hc1_not_ours,
    "token-status-list": count_status_lists,
}


def documented_rows():
    """Table rows `| set | total | accepted | refused | exceptions | not judged |`."""
    rows = re.findall(r"^\| ([^|]+?) \|" + r" (\d+) \|" * 5 + r"$", DOCUMENT, re.MULTILINE)
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


def documented_exceptions():
    """Table rows `| set | case, case, ... | why |`."""
    rows = re.findall(r"^\| ([^|]+?) \| ((?:`[^`]+`(?:, )?)+) \| [^|]+ \|$", DOCUMENT, re.MULTILINE)
    found = {}
    for name, cases in rows:
        found.setdefault(name, set()).update(re.findall(r"`([^`]+)`", cases))
    return found


def test_the_document_has_a_row_for_each_set_and_no_other():
    assert set(documented_rows()) == set(COUNTERS)


@pytest.mark.parametrize("name", list(COUNTERS))
def test_the_document_says_what_was_counted(name):
    tally = COUNTERS[name]()
    assert tally.row == documented_rows()[name]
    assert tally.exceptions == documented_exceptions().get(name, set())


def test_valid_high_s_signatures_are_accepted_by_a_key_and_refused_around_our_own_objects():
    """Wycheproof calls both forms of an ES256 signature valid, and so does a key."""
    high = 0
    for public, test in wycheproof("ecdsa_secp256r1_sha256_p1363_test.json"):
        signature = bytes.fromhex(test["sig"])
        if test["result"] != "valid" or len(signature) != 64 or low_s(signature) == signature:
            continue
        key = p256_key(public)
        key.verify(bytes.fromhex(test["msg"]), signature)
        key.verify(bytes.fromhex(test["msg"]), low_s(signature))
        high += 1
    assert high > 50


def test_rsa_and_larger_curves_are_told_apart_from_bad_signatures():
    rsa = load(DATA / "dgc-testdata" / "common" / "CO1.json")
    with pytest.raises(UnsupportedError):
        hc1_verify(rsa)
    assert hc1_opened(rsa).alg == -37
    with pytest.raises(UnsupportedError):
        cose_key(load(DATA / "cose-wg-examples" / "ecdsa-examples" / "ecdsa-sig-02.json")["input"]["sign0"]["key"])


def test_a_token_of_the_draft_is_refused_as_a_list_of_ours_for_its_form():
    """Its kid stands in the unprotected header: a foreign reader takes that, our own does not."""
    data = bytes.fromhex("".join(draft("status_list_cwt").split()))
    with pytest.raises(MalformedError, match="the unprotected header is not an empty map"):
        envelope.parse(data, what="status list", limit=1024, typ=envelope.TYP_STATUS_LIST)


@pytest.mark.parametrize("name", LISTS)
def test_one_status_more_is_noticed(monkeypatch, name):
    """The comparison is of all entries, not only of those that are listed."""
    kind, bits = LISTS[name]
    statuses, size = expected_statuses(kind, bits)
    unlisted = next(index for index in range(size) if index not in statuses)
    assert list_agrees(name, "cbor")
    monkeypatch.setitem(globals(), "expected_statuses", lambda _kind, _bits: (statuses | {unlisted: 1}, size))
    assert not list_agrees(name, "cbor")
