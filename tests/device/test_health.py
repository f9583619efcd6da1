from device.health import Figures, Progress, health_of, state_of
from protocol.health import ClockSource, State, Supply, UpdateFailure, decode_health, encode_health

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


def test_what_operators_look_for_is_in_it():
    said = decode_health(
        encode_health(
            health(enabled=False, lists_stale=2, trust_days=29, clock_source=ClockSource.HUB, thermometer_ok=False)
        )
    )
    assert (said.enabled, said.lists_stale, said.trust_days) == (False, 2, 29)
    assert (said.clock_source, said.thermometer_ok) == (ClockSource.HUB, False)


def test_a_bundle_that_has_ended_has_no_days_left():
    assert decode_health(encode_health(health(trust_days=-3))).trust_days == 0


def test_a_gate_without_a_thermometer_says_nothing_of_it():
    said = decode_health(encode_health(health()))
    assert (said.thermometer_ok, said.trust_days, said.clock_source) == (None, None, None)


def test_the_state_can_be_asked_for_without_all_the_figures():
    assert state_of(storage_failed=False, reserve_held=True, in_service=True) is State.IN_SERVICE
    assert state_of(storage_failed=True, reserve_held=True, in_service=False) is State.STORAGE_FAILED


def test_two_messages_tell_how_long_a_frame_takes_now():
    before, after = health(decoded=50, decode_us=100_000), health(decoded=60, decode_us=190_000)
    assert (after.decode_total_us - before.decode_total_us) // (after.decoded - before.decoded) == 9000


def test_what_the_board_tells_is_in_it():
    said = decode_health(
        encode_health(health(unsent_s=75, board_cc=5512, supply=Supply.WAS_LOW, disk_mib=(21_504, 29_184)))
    )
    assert (said.unsent_s, said.board_cc, said.supply) == (75, 5512, Supply.WAS_LOW)
    assert (said.disk_free_mib, said.disk_mib) == (21_504, 29_184)


def test_an_update_that_failed_is_in_it():
    said = decode_health(encode_health(health(update_failed=(2_000, UpdateFailure.UNHEALTHY))))
    assert (said.update_failed, said.update_failure) == (2_000, UpdateFailure.UNHEALTHY)
    said = decode_health(encode_health(health()))
    assert (said.update_failed, said.update_failure) == (None, None)


def test_a_board_that_tells_nothing_is_left_out():
    said = decode_health(encode_health(health()))
    assert (said.unsent_s, said.board_cc, said.supply, said.disk_free_mib, said.disk_mib) == (None,) * 5
