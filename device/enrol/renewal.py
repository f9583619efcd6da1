"""A new certificate over the old one, before that ends; and, when asked, a new signing key with it.

    written down  the new keys, before the hub hears of them
    asked         over TLS with the old certificate, signed by the old key; a new signing key proves itself
    written       the whole site anew, beside the one in force
    in force      by one switch; the running gate goes on with the old until it starts again

A power cut before the switch leaves the old site, and the same keys ask again: the hub answers the old certificate
as long as that holds, whatever it issued meanwhile. What `site.tidy` finds at the start it brings to its end. The
check-ins in the spool stay as the old key signed them; the hub knows both.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from device.enrol import pending, site
from device.enrol.compose import recompose
from device.enrol.errors import AnswerError, EnrolmentError, SiteError
from device.enrol.pending import RENEWING, Renewing
from device.enrol.ports import Events
from device.keystore.ports import KeyStore, KeyStoreError, make_or_load
from device.sitefile import SiteConfig
from device.tomlfile import ConfigError
from protocol.enrolment import RenewalAnswer, RenewalRequest, seal_renewal
from protocol.errors import ProtocolError
from protocol.keys import SigningKey

LEFT_OF_LIFE = 3
"""Renewed when a third of the certificate's life is left: a month of 90 days, in which a hub may be down."""

AGAIN_S = 600.0
"""After a failure in an ordinary renewal: there is a month, and a thousand gates."""


class RenewingHub(Protocol):
    """The hub's side of a renewal."""

    def renew(self, request: bytes) -> RenewalAnswer:
        """Asks with a sealed renewal."""


def open_known(site_in_force: SiteConfig) -> RenewingHub:
    """The hub of a site, over the real network.

    Raises:
        SiteError: the site names none.
        UntrustedError: its files cannot be used.
    """
    from device.enrol.client import HubClient

    hub, broker = site_in_force.hub, site_in_force.broker
    if hub is None:
        raise SiteError("the site names no hub to renew at")
    try:
        return HubClient.known(hub.url, ca=hub.ca, cert=broker.cert, key=broker.key)
    except ProtocolError as error:
        raise SiteError(str(error)) from error


class Renewal:
    """Looks after the certificate of the site in force. For threads that may wait for the network, and for each other:
    two renewals at a time would write one folder, and put the older key into force behind the hub's back.

    Args:
        site_in_force: as the configuration has it.
        state_dir: where sites are written.
        signing: the present signing key.
        keys: where a new signing key is made.
        log: told of each renewal and failure.
        now_s: the time; None while the clock is not to be believed: then nothing is due.
        mono_s: the monotonic clock.
        random: a float in [0, 1).
        random_bytes: `secrets.token_bytes` on a device.
        open_hub: site -> hub.

    The certificate is read when it is first asked for, and what reading it takes is imported then: a fifth of a gate's
    start, in which nobody renews.

    Raises, on any call:
        SiteError: the certificate in force cannot be read.
    """

    def __init__(
        self,
        site_in_force: SiteConfig,
        *,
        state_dir: Path,
        signing: SigningKey,
        keys: KeyStore,
        log: Events,
        now_s: Callable[[], int | None],
        mono_s: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        open_hub: Callable[[SiteConfig], RenewingHub] = open_known,
    ) -> None:
        self._site = site_in_force
        self._state_dir = state_dir
        self._signing = signing
        self._keys = keys
        self._log = log
        self._now_s = now_s
        self._mono_s = mono_s
        self._random = random
        self._random_bytes = random_bytes
        self._open_hub = open_hub
        self._window_s: tuple[int, int] | None = None
        self._not_before_s = 0.0
        self._one_at_a_time = threading.Lock()
        self._done: Renewing | None = None

    def window_s(self) -> tuple[int, int]:
        """From when to when the certificate in force holds, in s since 1970."""
        from device.enrol import certificates

        if self._window_s is None:
            try:
                self._window_s = certificates.window_s(self._site.broker.cert.read_bytes())
            except OSError as error:
                raise SiteError(f"{self._site.broker.cert}: {error.strerror}") from error
        return self._window_s

    def days_left(self) -> int | None:
        """Whole days until the certificate ends, below zero when it has; None while the clock is not to be believed."""
        now_s = self._now_s()
        return None if now_s is None else (self.window_s()[1] - now_s) // 86_400

    def due(self) -> bool:
        """Whether less than a third of the certificate's life is left, or a renewal was begun and not ended."""
        if self._site.hub is None or self._mono_s() < self._not_before_s:
            return False
        now_s = self._now_s()
        if now_s is None:
            return False
        begins_s, ends_s = self.window_s()
        begun = pending.load(self._state_dir / RENEWING, Renewing) is not None
        return begun or (ends_s - now_s) * LEFT_OF_LIFE < ends_s - begins_s

    def renew_if_due(self) -> bool:
        """Renews when it is time; True when the process should start again, to take the new certificate into use.

        Never raises for what the hub or the disk does: it is told to the log, and tried again later.
        """
        if not self.due():
            return False
        try:
            self.renew()
        except EnrolmentError as error:
            pause_s = AGAIN_S * (0.5 + self._random())
            self._not_before_s = self._mono_s() + pause_s
            self._log.event(
                "renewal_failed", reason=error.reason, what=str(error), days_left=self.days_left(), pause_s=int(pause_s)
            )
            return False
        return True

    def renew(self, *, rotate: bool = False) -> None:
        """Renews now. When this returns the new site is in force, and the process should start again. Until it does,
        nothing is renewed once more: what is in memory here is no longer the site in force.

        1. The keys: those of a renewal that did not end, else new ones, written down.
        2. The request, signed by the present key and by the new one where there is one.
        3. The answer: a chain for the new TLS key and this device, from the known authority.
        4. The site in force with it, as the new site in force.

        Args:
            rotate: also make a new signing key.

        Raises:
            EnrolmentError: it is not in force; call again, the same keys will ask.
        """
        with self._one_at_a_time:
            if self._done is None:
                self._done = self._renewed(rotate=rotate)
            elif rotate and self._done.signing is None:
                raise SiteError("a new certificate waits for the restart; ask for new keys after it")

    def _renewed(self, *, rotate: bool) -> Renewing:
        from device.enrol import certificates

        try:
            # 1.
            state = self._keys_written_down(rotate=rotate)
            tls_key = state.tls_key.encode()
            new = None if state.signing is None else make_or_load(self._keys, state.signing)
            # 2.
            request = RenewalRequest(
                device=self._site.device,
                csr=certificates.request_for(tls_key, name=self._site.device_id),
                new_key=None if new is None else new.public,
                at_ms=(self._now_s() or 0) * 1000,
            )
            sealed = seal_renewal(request, key=self._signing, new_key=new)
            answer = self._open_hub(self._site).renew(sealed)
            # 3.
            self._check(answer, state)
            # 4.
            files = recompose(
                self._site, site.current(self._state_dir), chain=answer.chain, tls_key=tls_key, signing=state.signing
            )
            site.install(self._state_dir, files, keys=self._keys, moving_in=False)
        except (OSError, ConfigError, KeyStoreError) as error:
            raise SiteError(f"the renewal stopped: {error}") from error
        self._log.event("renewed", rotated=state.signing is not None)
        return state

    def _keys_written_down(self, *, rotate: bool) -> Renewing:
        from device.enrol import certificates

        folder = self._state_dir / RENEWING
        state = pending.load(folder, Renewing)
        if state is None:
            state = Renewing(tls_key=certificates.make_tls_key().decode("ascii"), signing=self._name(rotate=rotate))
            pending.save(folder, state)
        elif rotate and state.signing is None:
            # One without rotation was begun; the hub may give it two certificates, but never two signing keys.
            state = Renewing(tls_key=state.tls_key, signing=self._name(rotate=True))
            pending.save(folder, state)
        return state

    def _name(self, *, rotate: bool) -> str | None:
        return f"signing-{self._random_bytes(4).hex()}" if rotate else None

    def _check(self, answer: RenewalAnswer, state: Renewing) -> None:
        from device.enrol import certificates

        if self._site.hub is None:
            raise SiteError("the site names no hub to renew at")
        ca = certificates.to_der(self._site.hub.ca.read_bytes())
        certificates.check_chain(
            answer.chain, tls_key=state.tls_key.encode(), device=self._site.device, ca=ca, now_s=self._now_s()
        )
        _, ends_s = certificates.window_s(certificates.to_pem(answer.chain[0]))
        if state.signing is None and ends_s <= self.window_s()[1]:
            # Put into force, it would be due again at once, and the gate start again for ever.
            raise AnswerError("the new certificate does not hold longer than the old one")
