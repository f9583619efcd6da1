"""The parent's side of the decode child, with children that are scripted and a clock that is told."""

import numpy as np
import pytest

from device.model import Frame
from device.scan.decode import ANSWER_S, DecoderFailedError, DecoderProcess, pause_s
from device.scan.decoder.process import ChildFailedError
from device.scan.decoder.wire import Answer, Hello

PX_MAX = 64 * 48


def frame(seq, shade=None):
    shade = seq * 40 % 256 if shade is None else shade
    return Frame(luma=np.full((48, 64), shade, dtype=np.uint8), seq=seq, at_mono_ns=seq * 1_000_000)


class Site:
    """Starts scripted children: each is a list of answers, where an exception is what befalls it."""

    def __init__(self, *scripts, hello=None, **options):
        self.scripts = list(scripts)
        self.hello = hello or [Hello(seccomp=True)]
        self.children = []
        self.clock_s = 500.0
        self.decoder = DecoderProcess(frame_px_max=PX_MAX, spawn=self.spawn, now_s=lambda: self.clock_s, **options)

    def spawn(self, frames):
        child = ScriptedChild(self, list(self.scripts.pop(0)) if self.scripts else [])
        self.children.append(child)
        return child

    def alive(self):
        return [number for number, child in enumerate(self.children) if not child.killed]


class ScriptedChild:
    def __init__(self, site, script):
        self.site, self.script, self.killed, self.asked = site, script, 0, []

    def await_hello(self, *, timeout_s):
        hello = self.site.hello.pop(0) if len(self.site.hello) > 1 else self.site.hello[0]
        if isinstance(hello, Exception):
            raise hello
        return hello

    def ask(self, request, *, timeout_s):
        assert timeout_s == ANSWER_S
        assert not self.killed
        self.asked.append(request.seq)
        step = self.script.pop(0) if self.script else ()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Answer):
            return step
        return Answer(seq=request.seq, texts=tuple(step), overflow=False)

    def kill(self):
        self.killed += 1
        return "exit -9 ''"


DIES = ChildFailedError("has died")


def test_texts_and_time_go_with_the_frame():
    site = Site([(b"GL1:A", "张".encode())])
    site.decoder.start()
    decoded = site.decoder.decode(frame(9))
    assert decoded.texts == ("GL1:A", "张")
    assert (decoded.frame_seq, decoded.at_mono_ns, decoded.lost) == (9, 9_000_000, False)
    site.decoder.close()
    assert site.alive() == []


def test_a_spare_waits_from_the_start():
    site = Site()
    site.decoder.start()
    assert site.alive() == [0, 1]
    site.decoder.close()


def test_a_death_costs_one_frame():
    site = Site([(b"a",), DIES], [(b"c",)])
    site.decoder.start()
    decoded = [site.decoder.decode(frame(seq)) for seq in (1, 2, 3)]
    assert [(one.texts, one.lost) for one in decoded] == [(("a",), False), ((), True), (("c",), False)]
    assert site.alive() == [1, 2]
    counts = site.decoder.counts
    assert (counts.decoded, counts.lost, counts.restarts) == (2, 1, 1)
    site.decoder.close()


def test_deaths_in_a_row_cost_growing_pauses_and_then_the_process():
    site = Site(*[[DIES]] * 20)
    site.decoder.start()
    began_s, seq = site.clock_s, 0
    while site.decoder.counts.restarts < 10:
        seq += 1
        assert site.decoder.decode(frame(seq)).lost
        site.clock_s += 0.033
    site.clock_s += pause_s(10)
    with pytest.raises(DecoderFailedError, match="11 times"):
        site.decoder.decode(frame(seq + 1))
    assert 15 < site.clock_s - began_s < 25
    assert site.decoder.counts.restarts == 11
    site.decoder.close()


def test_deaths_far_apart_are_survived_for_ever():
    site = Site(*[[(), DIES]] * 50)
    site.decoder.start()
    for seq in range(80):
        site.decoder.decode(frame(seq))
        site.clock_s += 6
    assert site.decoder.counts.restarts == 40
    site.decoder.close()


def test_during_a_pause_no_child_is_asked():
    site = Site(*[[DIES]] * 3, [(b"back",)])
    site.decoder.start()
    assert [site.decoder.decode(frame(seq)).lost for seq in range(4)] == [True] * 4
    assert sum(len(child.asked) for child in site.children) == 3
    site.clock_s += pause_s(3)
    assert site.decoder.decode(frame(9)).texts == ("back",)
    site.decoder.close()


def test_pauses():
    assert [pause_s(deaths) for deaths in range(1, 11)] == [0, 0, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]


def test_a_decoder_that_does_not_start_is_an_error():
    site = Site(hello=[ChildFailedError("has died")])
    with pytest.raises(DecoderFailedError):
        site.decoder.start()
    assert site.alive() == []


def test_a_spare_that_does_not_greet_is_a_death_like_any_other():
    site = Site([DIES], hello=[Hello(seccomp=True), DIES, Hello(seccomp=True)])
    site.decoder.start()
    assert [site.decoder.decode(frame(seq)).lost for seq in (1, 2, 3)] == [True, True, False]
    site.decoder.close()


def test_a_missing_filter_is_logged(caplog):
    site = Site(hello=[Hello(seccomp=False)])
    site.decoder.start()
    assert "not filtered" in caplog.text
    site.decoder.close()


def test_what_is_not_text_is_dropped_and_counted():
    site = Site([(b"\xff\xfe", b"GL1:A"), Answer(seq=2, texts=(b"x",), overflow=True)])
    site.decoder.start()
    assert site.decoder.decode(frame(1)).texts == ("GL1:A",)
    assert site.decoder.decode(frame(2)).texts == ("x",)
    assert (site.decoder.counts.undecodable, site.decoder.counts.overflows) == (1, 1)
    site.decoder.close()


def test_an_unchanged_frame_is_answered_as_the_last_and_every_fifth_is_decoded():
    site = Site([(b"A",)] * 20)
    site.decoder.start()
    decoded = [site.decoder.decode(frame(seq, shade=90)) for seq in range(11)]
    assert {one.texts for one in decoded} == {("A",)}
    assert [one.frame_seq for one in decoded] == list(range(11))
    assert site.children[0].asked == [0, 5, 10]
    assert site.decoder.counts.kept_back == 8
    site.decoder.close()


def test_without_the_gate_every_frame_is_decoded():
    site = Site(scene_gate=False)
    site.decoder.start()
    for seq in range(6):
        site.decoder.decode(frame(seq, shade=90))
    assert site.children[0].asked == list(range(6))
    site.decoder.close()


def test_after_a_lost_frame_the_same_picture_is_tried_again():
    site = Site([(b"A",), DIES], [(b"B",)])
    site.decoder.start()
    site.decoder.decode(frame(1, shade=10))
    assert site.decoder.decode(frame(2, shade=200)).lost
    assert site.decoder.decode(frame(3, shade=200)).texts == ("B",)
    site.decoder.close()


@pytest.mark.parametrize(
    "luma",
    [
        np.zeros((480, 640), dtype=np.uint8),
        np.zeros((4, 4), dtype=np.uint16),
        np.zeros((4, 4, 3), dtype=np.uint8),
        np.zeros((0, 4), dtype=np.uint8),
    ],
)
def test_a_frame_that_was_not_agreed_on_is_our_mistake(luma):
    site = Site()
    site.decoder.start()
    with pytest.raises(ValueError, match="a frame of"):
        site.decoder.decode(Frame(luma=luma, seq=1, at_mono_ns=1))
    site.decoder.close()
