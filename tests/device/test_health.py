import io
import json
import logging

from device.health import Figures, Progress, health_of
from device.logs import Log, stdout_log
from protocol.health import State, decode_health, encode_health

FIGURES = {
    "spool": 3,
    "frames": 100,
    "frames_dropped": 2,
    "decoded": 50,
    "decode_us": 100_000,
    "scans": 5,
    "foreign": 1,
    "decoder_restarts": 0,
    "camera_restarts": 0,
    "storage_failed": False,
    "reserve_held": True,
    "in_service": True,
}


def health(**changes):
    return health_of(Figures(**{**FIGURES, **changes}), now_ms=7, clock_trusted=True)


def test_the_message_says_what_was_counted():
    said = decode_health(encode_health(health()))
    assert (said.spool, said.decode_us, said.state) == (3, 2000, State.IN_SERVICE)


def test_the_state_names_the_worst():
    assert health(in_service=False).state is State.OUT_OF_SERVICE
    assert health(in_service=False, storage_failed=True).state is State.STORAGE_FAILED
    assert health(in_service=False, reserve_held=False).state is State.STORAGE_FAILED


def test_a_gate_that_never_decoded_can_still_speak():
    assert health(decoded=0, decode_us=0).decode_us == 0


def test_only_decoding_counts_as_progress():
    decoded = iter([0, 1, 1, 2])
    progress = Progress(lambda: next(decoded))
    assert [progress.made() for _ in range(4)] == [False, True, False, True]


def test_a_log_line_is_one_json_object():
    out = io.StringIO()
    Log(out).event("scan", seq=1, text="a\nb")
    assert json.loads(out.getvalue()) == {"event": "scan", "seq": 1, "text": "a\nb"}
    assert out.getvalue().count("\n") == 1


def test_what_modules_log_comes_out_in_the_same_form(capsys):
    before = logging.root.handlers[:]
    try:
        stdout_log()
        logging.getLogger("device.x").warning("odd: %s", 1)
    finally:
        logging.root.handlers[:] = before
    assert json.loads(capsys.readouterr().out) == {
        "event": "log",
        "level": "warning",
        "module": "device.x",
        "text": "odd: 1",
    }
