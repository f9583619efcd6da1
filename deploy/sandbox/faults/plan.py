"""A seed -> one round: which fault, against what, when and for how long. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

GATES = ("G1", "G2")
SERVERS = ("broker", "platform", "hub")
DAY_S = 86_400


class Kind(StrEnum):
    """What can happen. The values stand in results and documents."""

    KILL = "kill"
    KILL_TWO = "kill two at once"
    STALL = "stall"
    FULL_DISK = "full disk"
    POWER_CUT = "power cut"
    CUT_LINK = "cut link"
    POOR_LINK = "poor link"
    BROKER_WIPED = "broker wiped"
    CERTIFICATE = "certificate ended"
    RESTORE = "hub restored"
    CLOCK_JUMP = "clock jump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One round's fault.

    Attributes:
        seed: of the round; people and details are drawn from it as well.
        parts: what it strikes.
        after_s: how long people pass undisturbed.
        hold_s: how long it lasts.
        how: which of the kind's forms.
    """

    seed: int
    kind: Kind
    parts: tuple[str, ...]
    after_s: float
    hold_s: float
    how: str = ""

    def __str__(self) -> str:
        how = f", {self.how}" if self.how else ""
        return f"{self.kind}: {' and '.join(self.parts)} for {self.hold_s:.1f} s{how}"


def blow_of(seed: int, *, kinds: Sequence[Kind] = tuple(Kind)) -> Blow:
    """The round of this seed. Seeds that follow each other go through all `kinds` in turn."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable round, no secret
    kind = kinds[seed % len(kinds)]
    # A commit, its message and its receipt take tens of milliseconds; the moment falls anywhere into them.
    after_s = rng.uniform(1.0, 3.0)
    parts, hold_s, how = _draw(kind, rng)
    return Blow(seed=seed, kind=kind, parts=parts, after_s=after_s, hold_s=round(hold_s, 2), how=how)


def _draw(kind: Kind, rng: random.Random) -> tuple[tuple[str, ...], float, str]:
    everyone = (*GATES, *SERVERS)
    match kind:
        case Kind.KILL:
            return (rng.choice(everyone),), 0.0, ""
        case Kind.KILL_TWO:
            return tuple(rng.sample(everyone, 2)), 0.0, ""
        case Kind.STALL:
            return tuple(rng.sample(everyone, rng.choice((1, 1, 2)))), rng.uniform(1, 15), ""
        case Kind.FULL_DISK:
            how = rng.choice(("once", "again and again"))
            return (rng.choice((*GATES, "hub", "platform")),), rng.uniform(3, 8), how
        case Kind.POWER_CUT:
            together = ((name,) for name in everyone)
            return rng.choice((*together, ("hub", "broker"), GATES)), rng.uniform(0.2, 2), ""
        case Kind.CUT_LINK:
            how = rng.choice(("both ways", "outwards", "inwards", "unplugged", "and killed meanwhile"))
            return (rng.choice(everyone),), rng.uniform(2, 12), how
        case Kind.POOR_LINK:
            how = f"{rng.randint(10, 40)} % lost, up to {rng.randint(50, 400)} ms late, {rng.randint(5, 20)} % doubled"
            return (rng.choice(everyone),), rng.uniform(4, 10), how
        case Kind.BROKER_WIPED:
            return ("broker",), rng.uniform(0.2, 2), ""
        case Kind.CERTIFICATE:
            part, how = rng.choice(
                (
                    *((gate, how) for gate in GATES for how in ("written anew", "renewed")),
                    ("hub", "written anew"),
                    ("broker", "written anew"),
                )
            )
            return (part,), rng.uniform(2, 5), how
        case Kind.RESTORE:
            return ("hub",), rng.uniform(1, 4), rng.choice(("the platform away", "the platform there"))
        case Kind.CLOCK_JUMP:
            part, how = rng.choice((*GATES, "hub")), rng.choice(("a day ahead", "a day back"))
            away = ", the platform away" if part == "hub" and rng.random() < 0.5 else ""
            return (part,), rng.uniform(3, 8), how + away
