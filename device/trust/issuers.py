"""The trust bundle on disk -> the issuers whose codes this gate recognises."""

from pathlib import Path

from protocol.keys import VerifyKey
from protocol.limits import TRUST_BYTES
from protocol.trust import TrustBundle, open_trust


def load_bundle(path: Path, *, root: VerifyKey) -> TrustBundle:
    """The bundle in the file `path`, verified with the pinned root key.

    Raises:
        OSError: the file cannot be read.
        ProtocolError: it is not a bundle of this root.
    """
    with path.open("rb") as file:
        return open_trust(file.read(TRUST_BYTES + 1), root=root)
