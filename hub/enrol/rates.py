"""How often one address, or one device, may ask: a bucket each, that fills again with time."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_KEYS_MAX: Final = 4096
"""Of more, the one seen least lately is forgotten: it may ask as if it were new."""


class Rates:
    """`burst` at once for each key, then `per_s` of them."""

    def __init__(self, *, burst: float, per_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_s, self._now_s = burst, per_s, now_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, key: str) -> bool:
        """Take one; False when there is none left."""
        left = self._level(key)
        if left < 1:
            return False
        self._put(key, left - 1)
        return True

    def is_spent(self, key: str) -> bool:
        """Whether `spend` would say no."""
        return self._level(key) < 1

    def _level(self, key: str) -> float:
        left, at_s = self._left.get(key, (self._burst, self._now_s()))
        return min(self._burst, left + (self._now_s() - at_s) * self._per_s)

    def _put(self, key: str, left: float) -> None:
        self._left[key] = (left, self._now_s())
        self._left.move_to_end(key)
        while len(self._left) > _KEYS_MAX:
            self._left.popitem(last=False)


def neighbourhood(address: str) -> str:
    """What stands for an address in a bucket: itself, or its IPv6 network of 64 bits, all of which is one host's."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
