"""Why something genuine changes nothing here. `protocol.errors` has the other reasons."""

from protocol.errors import ProtocolError


class ForkError(ProtocolError):
    """Another object under a version that is known already: its signer says two things at once."""

    reason = "fork"


class AheadError(ProtocolError):
    """Signed well after now, by a clock that is to be believed."""

    reason = "ahead"


class TopicError(ProtocolError):
    """It came on a topic that is not its own."""

    reason = "topic"


class RoomError(ProtocolError):
    """There is no room for one more."""

    reason = "room"
