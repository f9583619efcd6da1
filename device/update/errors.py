"""What may go wrong with an update.

UpdateError    this release is not brought about; `failure` says to the hub why
"""

from protocol.health import UpdateFailure


class UpdateError(Exception):
    """A release that is wanted is not brought about; everything is as it was."""

    def __init__(self, failure: UpdateFailure, what: str) -> None:
        super().__init__(what)
        self.failure = failure
