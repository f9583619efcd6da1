"""A hub's errands about place codes, for tests of the pages: the real handlers, and the stand-in platform's own register
of places behind them, without sockets. People are numbers: 1 and 2 are green, 3 is red, nobody else is known.
"""

import asyncio
from contextlib import asynccontextmanager

from deploy.sandbox.platform.lookup import id_number
from deploy.sandbox.platform.places import Places
from hub.errands import Errands
from hub.health import Health
from hub.trust.placecodes import PlaceCodes
from hub.trust.ports import PlatformError
from protocol.keys import Ed25519SigningKey
from protocol.placerequest import open_place_request
from protocol.terms import Colour
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey
from protocol.vectors.make_places import RESOLVER, RESOLVER_PUBLIC
from tests.hub.registry.test_applications import TYPED

HUB, PLACES = Ed25519SigningKey(b"h" * 32), Ed25519SigningKey(b"p" * 32)
COLOURS = {1: Colour.GREEN, 2: Colour.GREEN, 3: Colour.RED}
GREEN = TYPED | {"id_number": id_number(1)}
"""What a green applicant types."""
RED = TYPED | {"id_number": id_number(3)}


class Platform:
    """The platform's side. `away`: it does not answer."""

    def __init__(self, path):
        self.away = False
        self.asked = 0
        self.register = Places(
            path, private=RESOLVER, key=lambda: PLACES, known=COLOURS.__contains__, colour=COLOURS.__getitem__
        )

    async def place_request(self, _request_id, sealed):
        self.asked += 1
        if self.away:
            raise PlatformError("away")
        request = open_place_request(sealed, key=HUB.public)
        return self.register.take(request, hub=HUB.public.kid, now_s=request.at_ms // 1000).encode()


@asynccontextmanager
async def platform_behind(console, folder):
    """A hub that runs errands for this console; the platform behind it."""
    trusted = TrustedKey(key=PLACES.public, uses=frozenset({KeyUse.PLACE}), not_before_s=0, not_after_s=2**40)
    bundle = TrustBundle(
        version=1, issued_s=0, expires_s=2**40, issuers=(Issuer(name="p", region="CN", keys=(trusted,)),),
        resolver=RESOLVER_PUBLIC,
    )  # fmt: skip
    platform = Platform(folder / "places.sqlite")
    now_ms = console.clock.now_ms
    codes = PlaceCodes(store=console.store, source=platform, key=HUB, trust=lambda: bundle, now_ms=now_ms)
    errands = Errands(store=console.store, handlers=codes.handlers, health=Health(), now_ms=now_ms)
    task = asyncio.create_task(errands.run())
    try:
        yield platform
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        platform.register.close()
