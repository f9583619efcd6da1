"""The net itself: what a target lets pass as a refusal, and what it does not."""

import importlib
import inspect
import pkgutil
import re

import pytest

import protocol
from protocol import familiar
from protocol.checkin import parse_checkin, seal_checkin
from protocol.errors import MalformedError, SignatureError, UnknownKeyError
from protocol.receipt import Receipt, open_receipt, seal_receipt
from protocol.vectors.make_checkins import FIRST
from tests.fuzz import familiar_targets, kept, totals
from tests.fuzz.find import find
from tests.fuzz.report import render
from tests.fuzz.stand_ins import ANY_KEY, UNSIGNED, sealed
from tests.fuzz.target import PropertyError, Target, require, round_trip
from tests.fuzz.targets import TARGETS
from tests.fuzz.totals import Part, Totals


def target(raised=None, **more):
    def check(_data):
        if raised is not None:
            raise raised

    return Target(name="x", decoder="x", check=check, refuses=(MalformedError,), **more)


def test_a_refusal_is_no_crash_and_anything_else_is():
    target().run(b"")
    target(MalformedError("field", "is missing")).run(b"")
    for error in (KeyError("field"), RecursionError(), UnknownKeyError("x", "y"), MemoryError()):
        with pytest.raises(type(error)):
            target(error).run(b"")


@pytest.mark.parametrize("sentence", ["x" * 500, "two\nlines", "\x1b[31mred", "\u202egnp.exe"])
def test_a_refusal_that_could_write_a_log_is_a_crash_unless_it_quotes_a_file_of_our_own(sentence):
    with pytest.raises(PropertyError):
        target(MalformedError("field", sentence)).run(b"")
    target(MalformedError("field", sentence), foreign=False).run(b"")


def test_a_property_that_does_not_hold_is_a_crash():
    with pytest.raises(PropertyError):
        require([], "empty")
    round_trip(7, b"7", encode=lambda value: b"%d" % value, decode=int)
    round_trip(7, b"07", encode=lambda value: b"%d" % value, decode=int)
    with pytest.raises(PropertyError):
        round_trip(7, b"7", encode=lambda value: b"%d" % (value + 1), decode=int)


def test_the_stand_ins_open_what_nobody_signed_and_seal_the_same_bytes():
    receipt = Receipt(device=bytes(8), epoch=bytes(8), seq=1, hash=bytes(32), at_ms=1)
    data = seal_receipt(receipt, key=UNSIGNED)
    assert open_receipt(data, key=ANY_KEY) == receipt
    payload = data[data.index(b"\xa5\x01") : -66]
    assert sealed(payload) == data


def test_a_forged_object_would_be_noticed(monkeypatch):
    """If a real key let an object pass that no vector holds, the target says so."""
    forgery = find("forgery")
    genuine = seal_checkin(FIRST, key=UNSIGNED)
    forgery.run(b"\x01" + genuine)
    with pytest.raises(SignatureError):
        forgery.check(b"\x01" + genuine)
    monkeypatch.setattr("tests.fuzz.forgery_targets.checkin.verify_checkin", lambda _sealed, *, key: None)
    with pytest.raises(PropertyError):
        forgery.run(b"\x01" + genuine)


@pytest.mark.parametrize("bound", ["INT64_MAX", "TIME_MAX_MS", "TEMPERATURE_MAX_CC"])
def test_a_pattern_that_takes_too_much_would_be_noticed(monkeypatch, bound):
    """The highest number in each place of a check-in that has room for it."""
    roomy = 3
    _, places = familiar_targets.LEARNT[roomy]
    inputs = [bytes([roomy, number]) + b"\xff" * size for number, (_, size, _) in enumerate(places)]
    for data in inputs:
        find("familiar").run(data)
    monkeypatch.setattr(familiar, bound, 2**64)
    noticed = 0
    for data in inputs:
        try:
            find("familiar").run(data)
        except PropertyError:
            noticed += 1
    assert noticed


def test_runs_reach_the_patterns(monkeypatch):
    """Of what a run begins with, and of what the runs have kept, some has the strict reader asked for the learnt alone."""
    target, strictly = find("familiar"), []

    def counted(data):
        strictly.append(data)
        return parse_checkin(data)

    monkeypatch.setattr(familiar, "parse_checkin", counted)
    for inputs in (target.seeds(), kept.load("familiar").inputs):
        by_pattern = 0
        for data in filter(None, inputs):
            strictly.clear()
            target.run(data)
            by_pattern += strictly == familiar_targets.made(data)[0]
        assert by_pattern


READS = re.compile(r"(parse|open|decode|read|unpack|inflate)(_|$)")
INSIDE = {
    *(
        "read_masked",
        "read_configuration",
        "read_bytes",
        "read_strings",
        "read_url",
        "read_host",
        "read_line",
        "read_csr",
        "read_chain",
    ),
    *("read", "read_people", "inflate", "unpack_changes"),
    *("parse_policy", "parse_trust"),  # The readers of `policy` and `trust`, for what was verified before.
    "open_trace_query",  # `read_trace_query`, and then what it was told, judged.
    "open_sealed",  # HPKE's, of a library.
    "open_question",  # Its outside is `desk-sealed`, its inside `desk-question`.
    "open_query",  # Its outside is `query-sealed`, its inside `query`; what is between is HPKE's.
}
"""Called only by another decoder, which has a target."""


def _readers(module):
    """The functions of a module that read, and the methods of its public classes that do."""
    for name, found in vars(module).items():
        if getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(found) and READS.match(name):
            yield name
        if inspect.isclass(found) and not name.startswith("_"):
            yield from (
                f"{name}.{own}" for own, call in vars(found).items() if inspect.isfunction(call) and READS.match(own)
            )


def test_every_decoder_of_the_wire_has_a_target():
    words = {word for target in TARGETS.values() for word in re.findall(r"[\w.]+", target.decoder)}
    missing = [
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(protocol.__path__)
        if module.name != "vectors"
        for name in _readers(importlib.import_module(f"protocol.{module.name}"))
        if name not in INSIDE and not words & {f"protocol.{module.name}.{name}", name}
    ]
    assert missing == []


def test_a_target_is_found_by_its_name():
    assert all(find(name) is target for name, target in TARGETS.items())
    with pytest.raises(KeyError):
        find("nothing")


def test_totals_add_up_over_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(totals, "PATH", tmp_path / "totals.json")
    # It names the fuzzer's version, which only `deploy/setup proof` installs.
    monkeypatch.setattr(totals, "machine", dict)
    sums = totals.load()
    for crashed in (False, True):
        sums.add("cbor", Part(executions=10, processor_s=0.5, edges=7, peak_mb=50, crashed=crashed))
    totals.save(sums)
    again = totals.load().of("cbor")
    assert (again.executions, again.parts, again.processor_s, again.crashes) == (20, 2, 1.0, 1)


def test_what_is_kept_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "corpus")
    kept.save("x", kept.Kept(inputs=(b"\xff", b"", b"\xff"), crashes={"slow": b"a"}))
    assert kept.load("x") == kept.Kept(inputs=(b"", b"\xff"), crashes={"slow": b"a"})
    assert kept.load("y") == kept.Kept(crashes={})


def test_the_page_is_made_of_the_totals():
    assert render(totals.load()) == totals.PAGE.read_text(encoding="utf-8"), "run tests/fuzz/campaign.py --keep"
    shown = render(Totals(targets={"cbor": totals.Sum(executions=1234, processor_s=1.0)}))
    assert "| `cbor` |" in shown
    assert "1,234" in shown
