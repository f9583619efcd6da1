"""What can be wrong with bytes from the other side.

::

    ProtocolError                 every refusal of this package
    ├── MalformedError            the bytes are not what the wire says
    │   └── LimitError            ... because they are over a limit of `limits.py`
    ├── UnsupportedError          well-formed, but of a kind that this version does not know
    ├── SignatureError            the signature does not fit the bytes and the key
    ├── UnknownKeyError           no key with this id is trusted
    ├── KeyUseError               the key is known, but not for this use or not at this time
    ├── ExpiredError              genuine, but its signer no longer stands by it
    ├── RollbackError             older than what is already in force
    └── ChainError                a check-in does not continue the chain before it

All of them mean "they did wrong"; our own mistakes raise `ValueError` or `TypeError`.
"""

from typing import ClassVar


class ProtocolError(Exception):
    """A refusal with a stable `reason` for machines, the place (`where`) and a sentence (`what`)."""

    reason: ClassVar[str] = "protocol"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class MalformedError(ProtocolError):
    """The bytes are not what the wire says."""

    reason = "malformed"


class LimitError(MalformedError):
    """The bytes are over a limit of `limits.py`."""

    reason = "limit"


class UnsupportedError(ProtocolError):
    """Well-formed, but of a kind that this version does not know."""

    reason = "unsupported"


class SignatureError(ProtocolError):
    """The signature does not fit the bytes and the key."""

    reason = "bad_signature"


class UnknownKeyError(ProtocolError):
    """No key with this id is trusted."""

    reason = "unknown_key"


class KeyUseError(ProtocolError):
    """The key is known, but not for this use or not at this time."""

    reason = "key_use"


class ExpiredError(ProtocolError):
    """Genuine, but its signer no longer stands by it."""

    reason = "expired"


class RollbackError(ProtocolError):
    """Older than what is already in force."""

    reason = "rollback"


class ChainError(ProtocolError):
    """A check-in does not continue the chain before it."""

    reason = "chain"
