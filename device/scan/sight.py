"""Decoded texts, frame by frame -> what has newly come into view. Stage 3 of the scan; no clock of its own.

A text is a *code* when it is a Gatelight code, or one that the policy has looked up online (`scheme_of`). A code is
*in view* from the frame that first shows it until `gone_ms` have passed without it, so that frames which were not
read do not count. Every code is answered once while it is in view. Two different ones *together*, in one frame or
within `together_ms`, are several: the gate does not guess which person is meant, says so once, and answers nobody
until no code is in view any more.

    state       a frame shows               event      next state
    ----------  --------------------------  ---------  ----------
    EMPTY       no code                     -          EMPTY
    EMPTY       one code                    code       SHOWING
    EMPTY       two or more                 several    CROWDED
    SHOWING     nothing, or a known code    -          SHOWING; EMPTY once all are out of view
    SHOWING     a new code alone            code       SHOWING      the one before left `together_ms` ago or more
    SHOWING     a new code with another     several    CROWDED      "with": in this frame or within `together_ms`
    CROWDED     anything                    -          CROWDED; EMPTY once none is in view

A live code that a phone renews in somebody's hand follows the one before at once, and so is `several`: the person was
answered already and must not be counted twice. While somebody waits for an online look-up, "`together_ms` ago" does
not count either (`waiting`): a new code is several however long the first is gone, for the light that is about to
come would be taken for the wrong person's.

An advert or a link is `foreign`: counted once while it is in view, and nothing more. So is a code for setting up a
gate, which is told apart (`provisioning`) because somebody may be trying.

Time is that of the frames shown. A pause between two frames counts for at most `PAUSE_MAX_MS`: while nobody looked,
nobody left, and a code that was held through a decoder's restart is not answered again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from protocol.codes import is_code
from protocol.enrolment import is_provisioning
from protocol.limits import QUERY_TEXT_CHARS
from protocol.policy import GatePolicy
from protocol.resolve import is_id_number
from protocol.terms import Scheme

GONE_MS = 700
TOGETHER_MS = 150
PAUSE_MAX_MS = 250


def scheme_of(text: str, policy: GatePolicy) -> Scheme | None:
    """How a person is to be identified by this text; None for a stranger's text, which is nobody's business.

    Our own codes come first: no prefix in a policy can send them, or a provisioning code's secret, to be looked up.
    """
    if is_code(text):
        return Scheme.GATELIGHT
    if is_provisioning(text):
        return None
    if policy.resolve_cards and is_id_number(text):
        return Scheme.CARD_NUMBER
    if len(text) <= QUERY_TEXT_CHARS and text.startswith(policy.resolve_prefixes):
        return Scheme.OPAQUE
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one frame brought: at most one of `code` and `several`; `foreign` counts texts that are no codes."""

    code: str | None = None
    several: bool = False
    foreign: int = 0
    provisioning: bool = False


_NOTHING = Seen()


class Sight:
    """The view of one gate. It remembers what the last `gone_ms` showed: at most eight texts a frame."""

    def __init__(self, *, gone_ms: int = GONE_MS, together_ms: int = TOGETHER_MS) -> None:
        self._gone_ms = gone_ms
        self._together_ms = together_ms
        self._now_ms: float | None = None
        # The time of this view: it runs with `now_ms`, but never by more than PAUSE_MAX_MS at once.
        self._clock_ms = 0.0
        self._codes: dict[str, float] = {}
        self._foreign: dict[str, float] = {}
        self._crowded = False

    def see(
        self,
        texts: Iterable[str],
        *,
        now_ms: float,
        is_ours: Callable[[str], bool] = is_code,
        waiting: bool = False,
    ) -> Seen:
        """Take in what was read in one frame, captured at `now_ms` of a monotonic clock.

        Call it for every frame that was looked at, also when nothing was read; not for a frame that was lost.

        Args:
            texts: what was read.
            now_ms: when.
            is_ours: whether a text is a code to be answered.
            waiting: whether somebody before the gate waits for an answer.
        """
        if self._now_ms is not None:
            self._clock_ms += min(max(now_ms - self._now_ms, 0.0), PAUSE_MAX_MS)
        self._now_ms = now_ms
        codes: set[str] = set()
        foreign: set[str] = set()
        for text in texts:
            (codes if is_ours(text) else foreign).add(text)
        strangers = self._note(self._foreign, foreign)
        new = self._note(self._codes, codes)
        if strangers:
            seen = Seen(foreign=len(strangers), provisioning=any(map(is_provisioning, strangers)))
        else:
            seen = _NOTHING
        if self._crowded:
            self._crowded = bool(self._codes)
            return seen
        if not new:
            return seen
        together = [text for text, at_ms in self._codes.items() if self._clock_ms - at_ms < self._together_ms]
        if len(together) > 1 or waiting:
            self._crowded = True
            return replace(seen, several=True)
        return replace(seen, code=new.pop())

    def _note(self, known: dict[str, float], shown: set[str]) -> set[str]:
        """Forget what is out of view, then note what is shown. Returns what was not known."""
        for text in [text for text, at_ms in known.items() if self._clock_ms - at_ms >= self._gone_ms]:
            del known[text]
        new = shown - known.keys()
        known.update(dict.fromkeys(shown, self._clock_ms))
        return new
