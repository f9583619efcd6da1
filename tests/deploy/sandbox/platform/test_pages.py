"""What the pages show, and what they never let through."""

from deploy.sandbox.platform import pages
from deploy.sandbox.platform.lookup import id_number
from deploy.sandbox.platform.store import ChainState, Row
from protocol.reasons import Reason
from protocol.terms import Colour, Direction, Verdict

EVIL = "<script>alert('x')</script>\"&"


def row(**fields):
    values = {
        "device": bytes(8),
        "epoch": bytes(8),
        "seq": 7,
        "prev": bytes(32),
        "hash": bytes(32),
        "at_ms": 1_700_000_000_000,
        "place": "mall",
        "gate": "G1",
        "direction": Direction.IN,
        "colour": Colour.YELLOW,
        "verdict": Verdict.HOLD,
        "reason": Reason.COLOUR_YELLOW,
        "issuer_kid": b"issuer-1",
        "person": 5,
        "received_ms": 1_700_000_000_040,
        **fields,
    }
    return Row(**values)


def front(**fields):
    names = [
        "rows",
        "distinct",
        "again",
        "batches",
        "gaps",
        "chain_breaks",
        "bad_signatures",
        "forks",
        "malformed",
        "unknown_devices",
    ]
    values = {
        "totals": dict.fromkeys(names, 0),
        "chains": [],
        "tally": [],
        "newest": [],
        "names": {},
        "issuers": {},
        "desk": [],
        **fields,
    }
    return pages.front(pages.Front(**values))


def test_an_empty_platform_says_so_and_says_that_it_is_a_stand_in():
    page = front()
    assert "Nothing yet" in page
    assert "Not a government platform" in page


def test_a_check_in_is_shown_with_person_issuer_and_reason():
    page = front(newest=[row()], names={5: "张伟"}, issuers={b"issuer-1": "重庆 Chongqing"})
    for text in ("张伟", "重庆 Chongqing", "colour_yellow", "黄 yellow", "等候 hold", "mall · G1", "40 ms"):
        assert text in page


def test_everything_is_escaped():
    page = front(
        newest=[row(place=EVIL, gate=EVIL)],
        names={5: EVIL},
        issuers={b"issuer-1": EVIL},
        tally=[(EVIL, EVIL, Colour.RED, Verdict.REFUSE, 1)],
        chains=[
            ChainState(device=bytes(8), epoch=bytes(8), count=1, max_seq=2, head_hash=bytes(32), gate=EVIL, place=EVIL)
        ],
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_chain_with_gaps_and_a_counted_fault_are_marked():
    state = ChainState(
        device=bytes(8), epoch=bytes(8), count=1, max_seq=2, head_hash=bytes(32), gate="G1", place="mall"
    )
    assert "has gaps" in front(chains=[state])


def test_a_moment_that_no_calendar_has_does_not_hide_the_row():
    assert f"{2**62} ms" in front(newest=[row(at_ms=2**62)])


def test_whoever_tries_the_console_finds_somebody_who_may_apply():
    page = front(names={5: "张伟"})
    assert "张伟" in page
    assert f"<code>{id_number(5)}</code>" in page
