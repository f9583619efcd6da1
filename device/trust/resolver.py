"""The way of an online look-up: sealed to the platform by the scan thread, answered through the uplink's thread.

It never waits and never asks twice. What the platform says is verified before the scan thread sees it, and counts
only as the answer to a question that this gate has just asked.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from device.model import Resolution
from protocol import cbor, envelope, topics
from protocol.errors import MalformedError, ProtocolError
from protocol.limits import RESOLVED_BYTES
from protocol.resolve import QUERY_ID_BYTES, QUERY_NONCE_BYTES, Query, open_resolved, seal_query
from protocol.terms import Scheme
from protocol.trust import TrustBundle

OPEN_MOST = 8
"""The scan thread asks one at a time and gives up after 0.8 s; more than this it does not need. Beyond, none is
asked: the gate says grey at once."""

OPEN_MS = 2_000
"""An answer that comes later finds nobody who waits for it."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Question:
    end_ms: int
    answer: Resolution | None = None


class Resolver:
    """Look-ups of one gate. `ask` and `answer` are for the scan thread, `take` for the uplink's.

    Args:
        device: this device's id, 8 bytes.
        place: where it stands.
        gate: which lane it serves.
        trust: the bundle in force, with the key that questions are sealed to and the keys that sign answers.
        connected: whether anybody could hear a question now.
        put: sends a message (topic, payload, QoS); must not block.
        at_s: the time at which keys and answers are judged, s since 1970.
        mono_ms: monotonic clock.
        random_bytes: for the nonces of questions.

    Attributes:
        refused: answers that were not believed.
        late: answers to no open question.
    """

    def __init__(
        self,
        *,
        device: bytes,
        place: str,
        gate: str,
        trust: Callable[[], TrustBundle],
        connected: Callable[[], bool],
        put: Callable[[str, bytes, int], object],
        at_s: Callable[[], int],
        mono_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.refused = 0
        self.late = 0
        self._device = device
        self._place = place
        self._gate = gate
        self._trust = trust
        self._connected = connected
        self._put = put
        self._at_s = at_s
        self._mono_ms = mono_ms
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._open: dict[bytes, _Question] = {}

    def ask(self, text: str, scheme: Scheme) -> bytes | None:
        """Sends a look-up, 1 to 512 characters; its id, or None when nobody could answer it. Returns at once."""
        resolver = self._trust().resolver
        if resolver is None or not self._connected():
            return None
        query = Query(
            nonce=self._random_bytes(QUERY_NONCE_BYTES),
            device=self._device,
            place=self._place,
            gate=self._gate,
            scheme=scheme,
            text=text,
        )
        try:
            id_, payload = query.id, seal_query(query, resolver=resolver)
        except (ProtocolError, UnicodeEncodeError):
            return None  # Too long for a look-up, or no text: nothing that anybody knows.
        with self._lock:
            self._drop_old()
            if len(self._open) >= OPEN_MOST:
                return None
            self._open[id_] = _Question(end_ms=self._mono_ms() + OPEN_MS)
        self._put(topics.resolve(self._device), payload, 0)
        return id_

    def answer(self, id_: bytes, /) -> Resolution | None:
        """What the platform answered, once; None while it has not, and for ever after 2 s."""
        with self._lock:
            self._drop_old()
            question = self._open.get(id_)
            if question is None or question.answer is None:
                return None
            del self._open[id_]
            return question.answer

    def take(self, payload: bytes) -> None:
        """An answer, as received.

        1. It names a question that is open and was not answered.
        2. The platform signed it, for this device and this question.
        """
        try:
            # 1.
            id_ = _question_of(payload)
            with self._lock:
                self._drop_old()
                question = self._open.get(id_)
            if question is None or question.answer is not None:
                self.late += 1
                return
            # 2.
            said = open_resolved(payload, trust=self._trust(), at_s=self._at_s(), device=self._device, id=id_)
        except ProtocolError as error:
            self.refused += 1
            # Nothing of what it says: it is about a person, and perhaps forged.
            _LOG.warning("resolver: an answer was refused: %s", error.reason)
            return
        question.answer = Resolution(
            found=said.found,
            subject=said.subject,
            colour=said.colour,
            issued_s=said.issued_s,
            expires_s=said.expires_s,
            masked=said.masked,
            rule=said.rule,
            issuer_kid=said.issuer_kid,
        )

    def _drop_old(self) -> None:
        now_ms = self._mono_ms()
        for id_ in [id_ for id_, question in self._open.items() if now_ms >= question.end_ms]:
            del self._open[id_]


def _question_of(payload: bytes) -> bytes:
    """The id in an answer that is not verified yet: it saves the signature check on what nobody waits for.

    Raises:
        LimitError, MalformedError, UnsupportedError: not an answer.
    """
    sealed = envelope.parse(payload, what="resolved", limit=RESOLVED_BYTES)
    fields = cbor.decode(sealed.payload, what="resolved", limit=RESOLVED_BYTES)
    if type(fields) is not dict:
        raise MalformedError("resolved", "not a map")
    return cbor.sized_bytes(fields.get(1), "resolved.id", QUERY_ID_BYTES)
