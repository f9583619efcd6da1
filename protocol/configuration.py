"""What an approved device gets: who it is, where it stands, whom it believes (PROTOCOL §8)."""

from dataclasses import dataclass
from typing import Any

from protocol import cbor
from protocol.checkin import DEVICE_BYTES
from protocol.errors import MalformedError
from protocol.keys import VerifyKey
from protocol.limits import CERTIFICATE_BYTES, HUB_KEYS, POLICY_BYTES, TRUST_BYTES
from protocol.provisioning import read_host, read_url
from protocol.renewal import read_chain
from protocol.terms import Direction

_WHAT = "configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that a device needs to serve its gate. Certificates are DER; policy and trust are sealed."""

    device: bytes
    chain: tuple[bytes, ...]
    broker_host: str
    broker_port: int
    ca: bytes
    hub_keys: tuple[VerifyKey, ...]
    root: VerifyKey
    place: str
    gate: str
    direction: Direction
    policy: bytes
    trust: bytes
    hub_url: str


def configuration_map(configuration: Configuration) -> dict[int, Any]:
    """Configuration -> the map that stands in an answer."""
    return {
        1: configuration.device,
        2: configuration.chain,
        3: configuration.broker_host,
        4: configuration.broker_port,
        5: configuration.ca,
        6: [key.cose_key for key in configuration.hub_keys],
        7: configuration.root.cose_key,
        8: configuration.place,
        9: configuration.gate,
        10: configuration.direction,
        11: configuration.policy,
        12: configuration.trust,
        13: configuration.hub_url,
    }


def read_configuration(value: Any) -> Configuration:
    """A decoded map -> configuration. The device opens policy and trust before it believes them.

    Raises:
        MalformedError, UnsupportedError: naming the field that is wrong.
    """
    fields = cbor.fields(value, what=_WHAT, known=frozenset(range(1, 14)))
    get = fields.get
    return Configuration(
        device=cbor.sized_bytes(get(1), f"{_WHAT}.device", DEVICE_BYTES),
        chain=read_chain(get(2), f"{_WHAT}.chain"),
        broker_host=read_host(get(3), f"{_WHAT}.broker_host"),
        broker_port=cbor.integer(get(4), f"{_WHAT}.broker_port", 1, 65_535),
        ca=cbor.sized_bytes(get(5), f"{_WHAT}.ca", 1, CERTIFICATE_BYTES),
        hub_keys=_read_hub_keys(get(6)),
        root=VerifyKey.from_cose(get(7)),
        place=cbor.name(get(8), f"{_WHAT}.place"),
        gate=cbor.name(get(9), f"{_WHAT}.gate"),
        direction=cbor.member(get(10), f"{_WHAT}.direction", Direction),
        policy=cbor.sized_bytes(get(11), f"{_WHAT}.policy", 1, POLICY_BYTES),
        trust=cbor.sized_bytes(get(12), f"{_WHAT}.trust", 1, TRUST_BYTES),
        hub_url=read_url(get(13), f"{_WHAT}.hub_url"),
    )


def _read_hub_keys(value: Any) -> tuple[VerifyKey, ...]:
    where = f"{_WHAT}.hub_keys"
    if type(value) is not list or not 1 <= len(value) <= HUB_KEYS:
        raise MalformedError(where, f"not a list of 1 to {HUB_KEYS} keys")
    keys = tuple(VerifyKey.from_cose(item) for item in value)
    if len({key.kid for key in keys}) != len(keys):
        raise MalformedError(where, "a key stands in it twice")
    return keys
