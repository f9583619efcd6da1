"""The voice with a program of the test's in place of `aplay`: it writes down what it plays, and plays until it is ended."""

import stat
import time
from pathlib import Path

import pytest

from device.hardware.pi.voice import AlsaVoice
from device.hardware.ports import HardwareError, Prompt
from device.hardware.spoken import SPOKEN

ADMIT = Prompt(name="admit", zh="请通行。", en="Please pass.")
REFUSE = Prompt(name="refuse", zh="红码", en="Red code")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "voice"
    folder.mkdir()
    for name in SPOKEN:
        for language in ("zh", "en"):
            (folder / f"{name}.{language}.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture
def heard(tmp_path):
    return tmp_path / "heard"


@pytest.fixture
def voice(tmp_path, folder, heard):
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\ntrap "echo ended >> {heard}; exit" TERM\necho "$@" >> {heard}\nsleep 60 & wait\n')
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    made = AlsaVoice(folder=folder, names=SPOKEN, languages=("zh", "en"), device="plughw:1", player=(str(player),))
    yield made
    made.shutdown()


def lines(heard: Path, count: int):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        read = heard.read_text().splitlines() if heard.exists() else []
        if len(read) >= count:
            return read
        time.sleep(0.01)
    raise AssertionError(read)


def test_both_languages_are_spoken_one_after_the_other(voice, folder, heard):
    voice.tell(ADMIT, total_ms=3000, quiet=False)
    assert lines(heard, 1) == [f"-D plughw:1 {folder}/admit.zh.wav {folder}/admit.en.wav"]


def test_the_next_person_is_not_told_what_was_for_the_one_before(voice, folder, heard):
    voice.tell(ADMIT, total_ms=3000, quiet=False)
    lines(heard, 1)
    voice.tell(REFUSE, total_ms=3000, quiet=False)
    said = lines(heard, 3)
    assert said[1:] == ["ended", f"-D plughw:1 {folder}/refuse.zh.wav {folder}/refuse.en.wav"]


def test_in_quiet_hours_nothing_is_said_and_nothing_goes_on(voice, heard):
    voice.tell(ADMIT, total_ms=3000, quiet=False)
    lines(heard, 1)
    voice.tell(REFUSE, total_ms=3000, quiet=True)
    assert lines(heard, 2)[1:] == ["ended"]


def test_nothing_is_spoken_after_the_end(voice, heard):
    voice.tell(ADMIT, total_ms=3000, quiet=False)
    lines(heard, 1)
    voice.shutdown()
    assert lines(heard, 2)[1:] == ["ended"]


def test_a_missing_file_and_a_missing_player_are_said_by_name(folder):
    (folder / "admit.en.wav").unlink()
    with pytest.raises(HardwareError, match=r"lacks 1 files: .*admit\.en\.wav"):
        AlsaVoice(folder=folder, names=SPOKEN, languages=("zh", "en"), device="default", player=("sh",))
    with pytest.raises(HardwareError, match="no-such-player is not installed"):
        AlsaVoice(folder=folder, names=SPOKEN, languages=("zh",), device="default", player=("no-such-player",))
