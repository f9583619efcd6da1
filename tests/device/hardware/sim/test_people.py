import json
import socket
import time

import numpy as np
import pytest
import zxingcpp

from device.hardware.ports import HardwareError
from device.hardware.sim.people import PeopleCamera
from device.hardware.sim.thermometer import SimThermometer

CODE = "GL1:" + "6BFOXN%TS3DH" * 18

pytestmark = pytest.mark.sockets


@pytest.fixture
def camera(tmp_path):
    camera = PeopleCamera(socket_path=tmp_path / "people", fps=1000.0, seed=7)
    camera.start()
    yield camera
    camera.stop()


def read_texts(frame):
    return {code.text for code in zxingcpp.read_barcodes(frame.luma, formats=zxingcpp.BarcodeFormat.QRCode)}


def test_with_nobody_there_no_frame_has_a_code_and_no_two_are_alike(camera):
    first, second = camera.read(1.0), camera.read(1.0)
    assert read_texts(first) == set()
    assert not np.array_equal(first.luma, second.luma)


def test_a_code_shown_over_the_socket_is_in_the_frame_after_the_answer(camera, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as person:
        person.connect(str(tmp_path / "people"))
        answers = person.makefile("rb")
        person.sendall(json.dumps({"show": CODE}).encode() + b"\n")
        assert json.loads(answers.readline()) == {"ok": True}
        assert [read_texts(camera.read(1.0)) for _ in range(6)] == [{CODE}] * 6
        person.sendall(b'{"clear":true}\n')
        assert json.loads(answers.readline()) == {"ok": True}
        assert read_texts(camera.read(1.0)) == set()


def test_people_bring_their_temperature_to_the_thermometer(tmp_path):
    thermometer = SimThermometer(reading_cc=3650)
    camera = PeopleCamera(socket_path=tmp_path / "warm", fps=1000.0, warm=thermometer.set)
    camera.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as person:
        person.connect(str(tmp_path / "warm"))
        assert thermometer.read() == 3650
        person.sendall(b'{"temperature_cc":3875}\n')
        assert json.loads(person.makefile("rb").readline()) == {"ok": True}
        assert thermometer.read() == 3875
    camera.stop()


def test_several_codes_are_in_view_together(camera):
    camera.show((CODE, CODE[::-1]))
    assert read_texts(camera.read(1.0)) == {CODE, CODE[::-1]}


@pytest.mark.parametrize("texts", [(CODE * 30,), (CODE,) * 4, ("\ud800",)])
def test_what_cannot_be_shown_is_refused_and_changes_nothing(camera, texts):
    camera.show((CODE,))
    with pytest.raises(ValueError):
        camera.show(texts)
    assert read_texts(camera.read(1.0)) == {CODE}


def test_the_same_seed_gives_the_same_frames(tmp_path):
    frames = []
    for name in ("a", "b"):
        camera = PeopleCamera(socket_path=tmp_path / name, fps=1000.0, seed=3)
        camera.start()
        camera.show((CODE,))
        frames.append([camera.read(1.0).luma for _ in range(2)])
        camera.stop()
    assert np.array_equal(frames[0], frames[1])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_command_thread_is_not_silent(camera, tmp_path, monkeypatch):
    monkeypatch.setattr(camera._commands, "_show", lambda texts: 1 / 0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as person:
        person.connect(str(tmp_path / "people"))
        person.sendall(b'{"clear":true}\n')
        assert person.recv(100) == b""
    camera._commands._thread.join()
    with pytest.raises(HardwareError):
        camera.read(1.0)


@pytest.mark.slow
def test_a_frame_costs_under_three_milliseconds_of_processor_time(camera):
    camera.show((CODE,))
    start_s = time.thread_time()
    for _ in range(200):
        camera.read(1.0)
    assert (time.thread_time() - start_s) / 200 < 0.003
