"""A process says once that it is well, and only when it is."""

import itertools

import pytest

from device.update import notes
from device.update.notes import Healthy
from device.update.wellness import Wellness


@pytest.fixture
def told():
    return []


@pytest.fixture
def wellness(tmp_path, told):
    wellness = Wellness(tmp_path, version="0.2.0", complain=told.append)
    wellness.begin()
    return wellness


def said(tmp_path):
    return notes.read(notes.healthy_file(tmp_path), Healthy)


@pytest.mark.parametrize("looks", list(itertools.product([False, True], repeat=3))[:-1])
def test_less_than_all_of_it_is_not_well(tmp_path, wellness, looks):
    decoded, recording, hub_online = looks
    wellness.look(decoded=decoded, recording=recording, hub_online=hub_online)
    assert said(tmp_path) is None


def test_sight_and_hub_may_come_one_after_the_other(tmp_path, wellness):
    wellness.look(decoded=True, recording=True, hub_online=False)
    wellness.look(decoded=False, recording=True, hub_online=True)
    assert said(tmp_path).version == "0.2.0"


def test_the_disk_must_be_well_at_that_moment(tmp_path, wellness):
    wellness.look(decoded=True, recording=True, hub_online=False)
    wellness.look(decoded=True, recording=False, hub_online=True)
    assert said(tmp_path) is None


def test_what_the_process_before_said_no_longer_holds(tmp_path, wellness):
    wellness.look(decoded=True, recording=True, hub_online=True)
    first = notes.digest(notes.healthy_file(tmp_path))
    after = Wellness(tmp_path, version="0.2.0", complain=print)
    after.begin()
    assert said(tmp_path) is None
    after.look(decoded=True, recording=True, hub_online=True)
    assert notes.digest(notes.healthy_file(tmp_path)) != first


def test_a_disk_that_does_not_allow_it_is_told_once_and_tried_again(tmp_path, wellness, told):
    folder = notes.healthy_file(tmp_path).parent
    folder.rmdir()
    folder.write_bytes(b"in the way")
    for _ in range(3):
        wellness.look(decoded=True, recording=True, hub_online=True)
    assert len(told) == 1
    folder.unlink()
    folder.mkdir()
    wellness.look(decoded=True, recording=True, hub_online=True)
    assert said(tmp_path) is not None
