"""The provisioning code: what a scanner without an identity is shown, so that nothing has to be typed (PROTOCOL §8).

The text is `GLE1:` + Base45 of an unsigned CBOR map. It is a secret of the operator's screen: whoever reads the token
may ask for enrolment, which a person still approves. The hash of the hub's authority makes the connection safe.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from protocol import base45, cbor
from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.limits import HOST_CHARS, PROVISIONING_CHARS, PROVISIONING_URL_CHARS

PREFIX = "GLE1:"
TOKEN_BYTES = 16
CA_HASH_BYTES = 32

_WHAT = "provisioning code"
_ANY_VERSION = re.compile(r"GLE[1-9][0-9]?:")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])"
_HOST_ALONE = re.compile(_HOST, re.ASCII)
_URL = re.compile(rf"https://({_HOST})(?::([1-9][0-9]{{0,4}}))?(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_PSK = re.compile(r"[ -~]{8,63}|[0-9A-Fa-f]{64}", re.ASCII)
_PORT_MAX = 65_535
_SSID_BYTES = 32
_MOST_BYTES = (PROVISIONING_CHARS - len(PREFIX)) // 3 * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningCode:
    """Where to enrol, and with what. `wifi` is (ssid, psk); place and gate only where the code is for one of them.

    Token and network stand in no representation, so that none reaches a log.
    """

    url: str
    token: bytes = field(repr=False)
    ca_hash: bytes
    expires_s: int
    wifi: tuple[str, str] | None = field(default=None, repr=False)
    place: str | None = None
    gate: str | None = None


def is_provisioning(text: str) -> bool:
    """Whether a text claims to be a provisioning code, of any version."""
    return _ANY_VERSION.match(text) is not None


def parse_provisioning(text: str) -> ProvisioningCode:
    """Scanned text -> ProvisioningCode. The caller judges the time.

    Raises:
        LimitError, MalformedError: naming the part that is wrong.
        UnsupportedError: a later version.
    """
    if len(text) > PROVISIONING_CHARS:
        raise LimitError(_WHAT, f"{len(text)} characters, at most {PROVISIONING_CHARS} are allowed")
    if not is_provisioning(text):
        raise MalformedError(_WHAT, f"the text does not begin with {PREFIX}")
    if not text.startswith(PREFIX):
        raise UnsupportedError(_WHAT, "a later version of this wire")
    return _read_code(base45.decode(text[len(PREFIX) :]))


def provisioning_text(code: ProvisioningCode) -> str:
    """ProvisioningCode -> the text of its QR, in alphanumeric mode with error level M at most version 10.

    Raises:
        LimitError: it does not fit; the sentence says what to shorten.
        MalformedError: a code that a device would refuse.
    """
    fields: dict[int, Any] = {1: code.url, 2: code.token, 3: code.ca_hash, 4: code.expires_s}
    if code.wifi is not None:
        fields[5] = list(code.wifi)
    if code.place is not None:
        fields[6] = code.place
    if code.gate is not None:
        fields[7] = code.gate
    data = cbor.encode(fields)
    _read_code(data)
    text = PREFIX + base45.encode(data)
    if len(text) > PROVISIONING_CHARS:
        raise LimitError(
            _WHAT,
            f"{len(text)} characters, and a QR of version 10-M holds {PROVISIONING_CHARS}: "
            f"shorten {_shorten(code)} by {len(data) - _MOST_BYTES} bytes in all",
        )
    return text


def read_url(value: Any, where: str) -> str:
    """An address of the hub: https, host, perhaps port and path; no user, query, fragment or final slash.

    Raises:
        MalformedError: anything else.
    """
    text = cbor.text(value, where, 1, PROVISIONING_URL_CHARS)
    found = _URL.fullmatch(text)
    if found is None:
        raise MalformedError(where, "not https://host[:port][/path] without user, query, fragment or final slash")
    if int(found[2] or 443) > _PORT_MAX:
        raise MalformedError(where, f"a port above {_PORT_MAX}")
    _check_address(found[1], where)
    return text


def read_host(value: Any, where: str) -> str:
    """A host's name or address; an IPv6 address in brackets.

    Raises:
        MalformedError: anything else.
    """
    text = cbor.text(value, where, 1, HOST_CHARS)
    if _HOST_ALONE.fullmatch(text) is None:
        raise MalformedError(where, "not the name or address of a host")
    _check_address(text, where)
    return text


def _check_address(host: str, where: str) -> None:
    """What stands in brackets is an IPv6 address: no library connects to another, and each says so in its own way."""
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except ValueError as error:
            raise MalformedError(where, "no IPv6 address in the brackets") from error


def _shorten(code: ProvisioningCode) -> str:
    """What the operator can shorten, the longest first."""
    parts = [("the url", len(code.url))]
    if code.wifi is not None:
        parts += [("the network's name", len(code.wifi[0].encode())), ("the network's password", len(code.wifi[1]))]
    parts += [(name, len(value)) for name, value in (("the place", code.place), ("the gate", code.gate)) if value]
    named = [name for name, _ in sorted(parts, key=lambda part: -part[1])]
    return " or ".join(named)


def _read_code(data: bytes) -> ProvisioningCode:
    fields = cbor.fields(
        cbor.decode(data, what=_WHAT, limit=PROVISIONING_CHARS), what=_WHAT, known=frozenset(range(1, 8))
    )
    if 7 in fields and 6 not in fields:
        raise MalformedError(f"{_WHAT}.gate", "a gate without its place")
    return ProvisioningCode(
        url=read_url(fields.get(1), f"{_WHAT}.url"),
        token=cbor.sized_bytes(fields.get(2), f"{_WHAT}.token", TOKEN_BYTES),
        ca_hash=cbor.sized_bytes(fields.get(3), f"{_WHAT}.ca_hash", CA_HASH_BYTES),
        expires_s=cbor.time_s(fields.get(4), f"{_WHAT}.expires"),
        wifi=_read_wifi(fields[5]) if 5 in fields else None,
        place=cbor.name(fields[6], f"{_WHAT}.place") if 6 in fields else None,
        gate=cbor.name(fields[7], f"{_WHAT}.gate") if 7 in fields else None,
    )


def _read_wifi(value: Any) -> tuple[str, str]:
    where = f"{_WHAT}.wifi"
    match value:
        case [str(ssid), str(psk)]:
            pass
        case _:
            raise MalformedError(where, "not a name and a password")
    if not 1 <= len(ssid.encode()) <= _SSID_BYTES or "\x00" in ssid:
        raise MalformedError(where, f"a network's name has 1 to {_SSID_BYTES} bytes")
    if _PSK.fullmatch(psk) is None:
        raise MalformedError(where, "a network's password has 8 to 63 printable ASCII characters, or 64 hex digits")
    return ssid, psk
