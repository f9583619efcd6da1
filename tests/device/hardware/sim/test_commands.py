import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.ports import HardwareError
from device.hardware.sim.commands import (
    CODES_IN_VIEW,
    CONNECTIONS,
    LINE_BYTES,
    CommandSocket,
    Show,
    Warm,
    parse_command,
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b'{"show": "GL1:ABC"}', Show(("GL1:ABC",))),
        (b'{"show": ["a", "b"]}', Show(("a", "b"))),
        (b'{"clear": true}', Show(())),
        (b'{"temperature_cc": 3650}', Warm(3650)),
        (b'{"temperature_cc": -7000}', Warm(-7000)),
        (b'{"temperature_cc": null}', Warm(None)),
    ],
)
def test_commands_are_understood(line, command):
    assert parse_command(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"[" * 9000,
        b'"show"',
        b"{}",
        b'{"clear": 1}',
        b'{"clear": false}',
        b'{"show": ""}',
        b'{"show": []}',
        b'{"show": [1]}',
        b'{"show": {"a": 1}}',
        b'{"show": "a", "clear": true}',
        b'{"show": "a", "also": 1}',
        b'{"temperature_cc": true}',
        b'{"temperature_cc": 36.5}',
        b'{"temperature_cc": "3650"}',
        b'{"temperature_cc": 38001}',
        b'{"temperature_cc": -7001}',
        b'{"temperature_cc": 3650, "show": "a"}',
        b'{"temperature_cc": null, "clear": true}',
        json.dumps({"show": ["a"] * (CODES_IN_VIEW + 1)}).encode(),
        json.dumps({"show": "a" * 2049}).encode(),
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(ValueError):
        parse_command(line)


@given(st.binary(max_size=60))
def test_noise_never_raises_anything_else(line):
    try:
        parse_command(line)
    except ValueError:
        return


@pytest.fixture
def listening(tmp_path):
    """A socket at which "refuse" is refused, and what it was told to show."""
    shown = []

    def show(texts):
        if texts == ("refuse",):
            raise ValueError("does not fit")
        shown.append(texts)

    commands = CommandSocket(path=tmp_path / "people", show=show)
    yield tmp_path / "people", shown
    commands.close()
    commands.close()
    assert not (tmp_path / "people").exists()


def ask(connection, line):
    connection.sendall(line)
    return json.loads(connection.makefile("rb").readline())


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(2)
    connection.connect(str(path))
    return connection


@pytest.mark.sockets
def test_each_line_is_answered_and_a_bad_one_changes_nothing(listening):
    path, shown = listening
    with connect(path) as person:
        assert ask(person, b'{"show":"a"}\n') == {"ok": True}
        assert ask(person, b"nonsense\n") == {"ok": False, "error": "the line is not JSON"}
        assert ask(person, b'{"show":"refuse"}\n') == {"ok": False, "error": "does not fit"}
        assert ask(person, b'{"clear":true}\n') == {"ok": True}
    assert shown == [("a",), ()]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.sockets
def test_a_temperature_goes_to_the_thermometer_and_where_there_is_none_it_is_refused(tmp_path):
    felt = []
    for warm, answer in [
        (felt.append, {"ok": True}),
        (None, {"ok": False, "error": "this gate has no simulated thermometer"}),
    ]:
        commands = CommandSocket(path=tmp_path / "people", show=felt.append, warm=warm)
        with connect(tmp_path / "people") as person:
            assert ask(person, b'{"temperature_cc":3812}\n') == answer
        commands.close()
    assert felt == [3812]


@pytest.mark.sockets
def test_a_line_may_come_in_pieces_and_several_at_once(listening):
    path, shown = listening
    with connect(path) as person:
        person.sendall(b'{"sh')
        person.sendall(b'ow":"a"}\n{"show":"b"}\n{"show":"c"}\n')
        answers = person.makefile("rb")
        assert [answers.readline() for _ in range(3)] == [b'{"ok":true}\n'] * 3
    assert shown == [("a",), ("b",), ("c",)]


@pytest.mark.sockets
def test_an_endless_line_ends_the_connection_only(listening):
    path, _ = listening
    with connect(path) as hostile:
        try:
            hostile.sendall(b"x" * (LINE_BYTES * 3))
            answer = hostile.recv(200)
        except ConnectionError:
            answer = b""
        assert answer in {b"", b'{"ok":false,"error":"the line is too long"}\n'}
    with connect(path) as person:
        assert ask(person, b'{"clear":true}\n') == {"ok": True}


@pytest.mark.sockets
def test_idle_connections_block_nobody_and_too_many_wait_their_turn(listening):
    path, _ = listening
    idle = [connect(path) for _ in range(CONNECTIONS)]
    assert ask(idle[-1], b'{"clear":true}\n') == {"ok": True}
    late = connect(path)
    late.sendall(b'{"clear":true}\n')
    idle[0].close()
    assert late.recv(100) == b'{"ok":true}\n'
    for connection in (*idle, late):
        connection.close()


@pytest.mark.sockets
def test_a_name_left_by_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "people"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_over:
        left_over.bind(str(path))
    commands = CommandSocket(path=path, show=lambda texts: None)
    with connect(path) as person:
        assert ask(person, b'{"clear":true}\n') == {"ok": True}
    commands.close()


@pytest.mark.sockets
def test_a_path_that_cannot_be_says_so(tmp_path):
    with pytest.raises(HardwareError):
        CommandSocket(path=tmp_path / "missing" / "people", show=lambda texts: None)
    with pytest.raises(HardwareError):
        CommandSocket(path=tmp_path / ("x" * 200), show=lambda texts: None)


@pytest.mark.sockets
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_ends_the_thread_and_is_kept(tmp_path):
    failing = threading.Event()
    error = KeyError("fault")

    def show(texts):
        failing.set()
        raise error

    commands = CommandSocket(path=tmp_path / "people", show=show)
    with connect(tmp_path / "people") as person:
        person.sendall(b'{"clear":true}\n')
        assert person.recv(100) == b""
    commands.close()
    assert failing.is_set()
    assert commands.failed is error
