"""What can go wrong between the box and the site.

::

    EnrolmentError          every one of them; `reason` is for machines, the sentence for people
    ├── UnreachableError    no network, no hub, or a hub that is busy: trying again may help
    ├── UntrustedError      whoever answers is not the hub that the code names
    ├── RefusedError        the hub says no; `reason` is its own
    ├── AnswerError         the hub's answer is not what the wire says
    ├── CodeError           the provisioning code cannot be used, or not now
    ├── JoinError           the network cannot be joined
    └── SiteError           what came cannot be put into use here
"""


class EnrolmentError(Exception):
    """A step of a device's life failed, with a stable `reason` for machines."""

    reason = "enrolment"


class UnreachableError(EnrolmentError):
    """No network, no hub, or a hub that is busy: trying again may help."""

    reason = "unreachable"


class UntrustedError(EnrolmentError):
    """Whoever answers is not the hub that the code names."""

    reason = "untrusted"


class RefusedError(EnrolmentError):
    """The hub says no."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"the hub refused: {reason}: {what}")
        self.reason = reason


class AnswerError(EnrolmentError):
    """The hub's answer is not what the wire says."""

    reason = "bad_answer"


class CodeError(EnrolmentError):
    """The provisioning code cannot be used, or not now."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class JoinError(EnrolmentError):
    """The network cannot be joined."""

    reason = "network"


class SiteError(EnrolmentError):
    """What came cannot be put into use here."""

    reason = "site"
