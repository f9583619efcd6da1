import threading
import time

import pytest

from device.hardware.ports import Prompt
from device.hardware.prompting import PromptPlayer

ADMIT = Prompt(name="admit", zh="请通行。", en="Please pass.")
WAIT = Prompt(name="wait", zh="请稍候。", en="Please wait.")


class Part:
    """Keeps what it was told; fails, or hangs, when it is asked to."""

    def __init__(self):
        self.shown = []
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.news = threading.Condition()

    def show(self, prompt):
        self.go_on.wait(5)
        with self.news:
            self.shown.append(prompt.name if prompt else None)
            self.news.notify_all()
        if self.fails:
            raise OSError("unplugged")

    def until(self, wanted):
        with self.news:
            assert self.news.wait_for(lambda: self.shown == wanted, 5), self.shown


@pytest.fixture
def part():
    return Part()


@pytest.fixture
def player(part):
    player = PromptPlayer(name="screen", show=part.show)
    yield player
    part.go_on.set()
    player.shutdown()


def test_a_prompt_is_shown_for_its_time_and_taken_away(part, player):
    player.tell(ADMIT, total_ms=30)
    part.until(["admit", None])


def test_the_newest_takes_the_place_of_the_one_before(part, player):
    player.tell(ADMIT, total_ms=60_000)
    part.until(["admit"])
    player.tell(WAIT, total_ms=60_000)
    part.until(["admit", "wait"])


def test_nobody_waits_for_a_part_that_hangs_and_only_the_newest_is_told_then(part, player):
    part.go_on.clear()
    began = time.monotonic()
    for prompt in (ADMIT, WAIT, ADMIT, WAIT):
        player.tell(prompt, total_ms=60_000)
    assert time.monotonic() - began < 2
    part.go_on.set()
    with part.news:
        assert part.news.wait_for(lambda: part.shown[-1:] == ["wait"], 5)
    assert len(part.shown) <= 2


def test_a_part_that_fails_is_said_once_and_tried_again(part, player, caplog):
    part.fails = True
    player.tell(ADMIT, total_ms=60_000)
    part.until(["admit"])
    player.tell(WAIT, total_ms=60_000)
    part.until(["admit", "wait"])
    part.fails = False
    player.tell(ADMIT, total_ms=60_000)
    part.until(["admit", "wait", "admit"])
    assert [record.message for record in caplog.records] == ["screen: unplugged"]


def test_it_ends_with_nothing_shown(part):
    player = PromptPlayer(name="screen", show=part.show)
    player.tell(ADMIT, total_ms=60_000)
    part.until(["admit"])
    player.shutdown()
    player.shutdown()
    assert part.shown == ["admit", None]
