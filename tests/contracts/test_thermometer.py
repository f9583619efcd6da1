"""The contract of `Thermometer`, on the simulated one and on an MLX90614 behind a fake bus; then what only a bus has."""

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.pi.thermometer import RAW_LEAST, RAW_MOST, TOBJ1, Mlx90614, pec, temperature_cc
from device.hardware.ports import HardwareError


@pytest.mark.parametrize("reading_cc", [-7001, -1, 1, 2001, 3651, 38_219])
def test_says_what_is_in_view_now(thermometer_rig, reading_cc):
    for now_cc in (3649, reading_cc, reading_cc):
        thermometer_rig.warm(now_cc)
        assert thermometer_rig.part.read() == now_cc


def test_one_that_is_gone_says_so_each_time_and_may_come_back(thermometer_rig):
    thermometer_rig.warm(None)
    for _ in range(2):
        with pytest.raises(HardwareError):
            thermometer_rig.part.read()
    thermometer_rig.warm(3649)
    assert thermometer_rig.part.read() == 3649


def test_after_shutdown_it_says_nothing_any_more(thermometer_rig):
    thermometer_rig.warm(3649)
    thermometer_rig.part.shutdown()
    thermometer_rig.part.shutdown()
    with pytest.raises(HardwareError):
        thermometer_rig.part.read()


@pytest.mark.parametrize(("exchange", "check"), [("B407B5D23A", 0x30), ("B406B5DF3A", 0xCF)])
def test_the_check_byte_is_that_of_exchanges_seen_on_real_sensors(exchange, check):
    assert pec(bytes.fromhex(exchange)) == check


def test_the_datasheets_example_is_28_degrees():
    assert temperature_cc(bytes.fromhex("D23A30"), address=0x5A) == 2801


def answered(raw, *, address=0x5A):
    word = raw.to_bytes(2, "little")
    return word + bytes([pec(bytes([address << 1, TOBJ1, address << 1 | 1]) + word)])


@given(st.integers(RAW_LEAST, RAW_MOST), st.integers(0x08, 0x77))
def test_the_whole_range_is_read_at_any_address(raw, address):
    assert temperature_cc(answered(raw, address=address), address=address) == 100 * (
        Decimal("0.02") * raw - Decimal("273.15")
    )


@pytest.mark.parametrize("raw", [0, RAW_LEAST - 1, 0x8000, RAW_MOST + 1, 0xBA5A, 0xFFFF])
def test_its_error_flag_and_impossible_numbers_are_no_temperature(raw):
    with pytest.raises(HardwareError):
        temperature_cc(answered(raw), address=0x5A)


@given(st.integers(RAW_LEAST, RAW_MOST), st.integers(1, 2**8 - 1), st.integers(0, 16))
def test_noise_on_up_to_eight_neighbouring_bits_is_always_found(raw, noise, at_bit):
    spoilt = int.from_bytes(answered(raw), "big") ^ noise << at_bit
    with pytest.raises(HardwareError):
        temperature_cc(spoilt.to_bytes(3, "big"), address=0x5A)


def test_an_answer_for_another_address_is_not_taken():
    with pytest.raises(HardwareError):
        temperature_cc(answered(0x3AD2, address=0x5B), address=0x5A)


def test_a_byte_that_was_spoilt_once_is_read_again(fake_smbus):
    thermometer = Mlx90614()
    fake_smbus.registers = {TOBJ1: [answered(0x3AD2)[:2] + b"\0", answered(0x3AD2)]}
    assert thermometer.read() == 2801
    fake_smbus.registers = {TOBJ1: [answered(0x3AD2)[:2] + b"\0"]}
    with pytest.raises(HardwareError, match="spoilt"):
        thermometer.read()


def test_the_bus_is_given_back(fake_smbus):
    thermometer = Mlx90614(bus=1)
    thermometer.shutdown()
    assert [bus.closed for bus in fake_smbus.opened] == [True]


def test_a_machine_without_the_bus_or_without_smbus2_says_so(fake_smbus, monkeypatch):
    with pytest.raises(HardwareError, match="bus 7"):
        Mlx90614(bus=7)
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(HardwareError, match="not installed"):
        Mlx90614()
