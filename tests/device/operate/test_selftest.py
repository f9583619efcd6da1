"""The gate tests itself with a picture that it has in itself."""

import pytest
import zxingcpp

from device.operate.selftest import ScanFigures, SelfTest
from device.operate.specimen import TEXT, picture
from protocol.codes import parse_text
from protocol.terms import Kind


def read(luma):
    return tuple(found.text for found in zxingcpp.read_barcodes(luma))


def self_test(*, frames, decode=read):
    counts = iter(frames)
    waits = []
    test = SelfTest(
        figures=lambda: ScanFigures(frames=next(counts), decode_ms=7.25, decoder_restarts=2),
        decode=decode,
        wait=waits.append,
    )
    outcome = test()
    assert waits == [1.0]
    return outcome


def test_the_picture_holds_a_specimen():
    assert read(picture()) == (TEXT,)
    assert parse_text(TEXT).claims.kind is Kind.SPECIMEN
    assert (picture().dtype, picture().ndim) == ("uint8", 2)


def test_all_is_well_when_frames_come_and_the_specimen_is_read():
    outcome = self_test(frames=[100, 115])
    assert outcome.ok
    assert outcome.detail == "fps=15.0 decode_ms=7.2 decoder_restarts=2 specimen=read"


@pytest.mark.parametrize(
    ("frames", "decode", "says"),
    [
        ([100, 100], read, "fps=0.0"),
        ([100, 115], lambda _: (), "specimen=not read"),
        ([100, 115], lambda _: ("another text",), "specimen=not read"),
    ],
)
def test_what_is_not_well_is_said(frames, decode, says):
    outcome = self_test(frames=frames, decode=decode)
    assert not outcome.ok
    assert says in outcome.detail
