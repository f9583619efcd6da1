"""Text -> VerifiedCode or Refusal. Stage 3 of the scan. Pure."""

import hashlib

from device.model import Refusal, Shown
from protocol.codes import CODE_HASH_BYTES, Code, parse_text, verify
from protocol.errors import KeyUseError, MalformedError, SignatureError, UnknownKeyError, UnsupportedError
from protocol.keys import EDDSA, ES256
from protocol.reasons import Reason
from protocol.trust import KeyUse, TrustBundle


def verify_text(text: str, *, trust: TrustBundle, now_s: int) -> Shown:
    """What a person showed, checked as far as bytes and keys go; time and colour are for `decide`.

    1. The text is a code of this version, within its limits (`malformed`, `unsupported`).
    2. Its algorithm is one of ours (`unsupported`).
    3. Its key is in the trust bundle, for codes, now (`unknown_issuer`).
    4. The issuer signed it (`bad_signature`).

    Args:
        text: a text for which `protocol.codes.is_code` holds.
        trust: the bundle in force.
        now_s: seconds since 1970.
    """
    # 1.
    try:
        code = parse_text(text)
    except MalformedError:
        return Refusal(reason=Reason.MALFORMED, code_hash=_text_hash(text))
    except UnsupportedError:
        return Refusal(reason=Reason.UNSUPPORTED, code_hash=_text_hash(text))
    # 2.
    if code.sealed.alg not in {EDDSA, ES256}:
        return _refuse(code, Reason.UNSUPPORTED)
    # 3.
    try:
        key = trust.find(code.kid, use=KeyUse.CODE, at_s=now_s)
    except (UnknownKeyError, KeyUseError):
        return _refuse(code, Reason.UNKNOWN_ISSUER)
    # 4.
    try:
        return verify(code, key=key)
    except SignatureError:
        return _refuse(code, Reason.BAD_SIGNATURE)


def _refuse(code: Code, reason: Reason) -> Refusal:
    return Refusal(reason=reason, code_hash=code.hash, issuer_kid=code.kid)


def _text_hash(text: str) -> bytes:
    """Stands for a code whose COSE bytes cannot be found."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:CODE_HASH_BYTES]
