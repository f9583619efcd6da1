"""Trust bundles -> the issuers whose codes this gate recognises: from the provisioned file, then from the hub."""

import hashlib
import logging
from pathlib import Path

from device.trust.believed import Believed
from device.trust.clock import GateClock
from device.trust.refusals import ForkError
from protocol.errors import ProtocolError
from protocol.keys import VerifyKey
from protocol.limits import TRUST_BYTES
from protocol.trust import TrustBundle, open_trust, warning_due

_FILE = "trust.cose"
_LOG = logging.getLogger(__name__)


def load_bundle(path: Path, *, root: VerifyKey) -> TrustBundle:
    """The bundle in the file `path`, verified with the pinned root key.

    Raises:
        OSError: the file cannot be read.
        ProtocolError: it is not a bundle of this root.
    """
    return open_trust(_read(path), root=root)


class Issuers:
    """The bundle in force. Read by every thread, replaced as a whole by the uplink's.

    Args:
        root: the platform's root key, pinned at enrolment.
        provisioned: the bundle that came with the configuration.
        believed: where newer ones are kept. The newest valid one counts; one that is damaged is set aside.
        clock: told the time at which a bundle was signed, and asked for now.

    Raises:
        OSError, ProtocolError: neither file can be believed; those of the provisioned one.
    """

    def __init__(self, *, root: VerifyKey, provisioned: Path, believed: Believed, clock: GateClock) -> None:
        self._root = root
        self._believed = believed
        self._clock = clock
        self._warned: int | None = None
        kept = self._load_kept()
        try:
            data = _read(provisioned)
            bundle = open_trust(data, root=root)
        except (OSError, ProtocolError) as error:
            if kept is None:
                raise
            _LOG.error("trust: the provisioned bundle is not to be believed, a kept one is used: %s", error)
            bundle, data = kept
        else:
            if kept is not None and kept[0].version >= bundle.version:
                bundle, data = kept
        self._current = bundle
        self._digest = hashlib.sha256(data).digest()
        clock.seen_signed_s(bundle.issued_s)
        self.warn()

    @property
    def current(self) -> TrustBundle:
        """The bundle in force."""
        return self._current

    @property
    def judge_s(self) -> int:
        """The time by which keys are judged: now; while the clock is not to be believed, when the bundle was signed."""
        return self._clock.now_ms() // 1000 if self._clock.trusted else self._current.issued_s

    @property
    def warning(self) -> int | None:
        """30, 7 or 1 when the bundle ends within so many days, 0 when it has ended, None otherwise."""
        return warning_due(self._current, self.judge_s)

    def offer(self, data: bytes) -> bool:
        """A bundle from the hub; whether it is a new one, which is in force now.

        A disk that cannot keep it does not keep it out of force: it may be there to withdraw a key.

        Raises:
            ProtocolError: not of this root, or older than the one in force.
            ForkError: another one of the same version.
        """
        bundle = open_trust(data, root=self._root, current_version=self._current.version)
        digest = hashlib.sha256(data).digest()
        if bundle.version == self._current.version:
            if digest != self._digest:
                raise ForkError("trust bundle", f"another one of version {bundle.version}")
            return False
        self._believed.write(self._believed.folder / _FILE, data)
        self._current, self._digest = bundle, digest
        self._clock.seen_signed_s(bundle.issued_s)
        _LOG.info("trust: version %d is in force", bundle.version)
        self.warn()
        return True

    def warn(self) -> int | None:
        """As `warning`, and logs it once for each threshold; to be called now and then."""
        due = self.warning
        if due is not None and due != self._warned:
            ends = "has ended" if due == 0 else f"ends within {due} days"
            _LOG.warning("trust: bundle %d %s; the platform must issue another", self._current.version, ends)
        self._warned = due
        return due

    def _load_kept(self) -> tuple[TrustBundle, bytes] | None:
        path = self._believed.folder / _FILE
        data = self._believed.read(path, limit=TRUST_BYTES)
        if data is None:
            return None
        try:
            return open_trust(data, root=self._root), data
        except ProtocolError as error:
            self._believed.set_aside(path, error)
            return None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(TRUST_BYTES + 1)
