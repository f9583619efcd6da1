"""Numbers of nobody: their bearers would be born on the last days of the century, or the number fails."""

import pytest

from protocol.idnumber import is_id_number


def with_check_digit(first_17):
    """ISO 7064 MOD 11-2, as the standard defines it: the sum of all digits times 2^(position - 1) is 1 modulo 11."""
    total = sum(int(digit) * pow(2, 18 - at, 11) for at, digit in enumerate(first_17, 1))
    return first_17 + "0123456789X"[(1 - total) % 11]


@pytest.mark.parametrize("sequence", range(0, 1000, 37))
def test_a_number_with_its_check_digit_and_no_other(sequence):
    number = with_check_digit(f"11010120991231{sequence:03}")
    assert is_id_number(number)
    assert not any(is_id_number(number[:17] + other) for other in "0123456789X" if other != number[17])


def test_the_check_digit_is_ten_for_some():
    number = next(
        made for sequence in range(100) if (made := with_check_digit(f"11010120991231{sequence:03}"))[17] == "X"
    )
    assert is_id_number(number)
    assert not is_id_number(number.lower())


def test_two_digits_exchanged_and_every_single_wrong_digit_show():
    number = with_check_digit("11010120991231001")
    for at in range(17):
        for digit in "0123456789":
            if digit != number[at]:
                assert not is_id_number(number[:at] + digit + number[at + 1 :])
        if number[at] != number[at + 1]:
            assert not is_id_number(number[:at] + number[at + 1] + number[at] + number[at + 2 :])


@pytest.mark.parametrize(
    ("first_17", "possible"),
    [
        ("11010120960229001", True),
        ("11010120990229001", False),
        ("11010119000229001", False),
        ("11010119000228001", True),
        ("11010118991231001", False),
        ("11010121000228001", False),
        ("11010120990431001", False),
        ("11010120990430001", True),
        ("11010120990001001", False),
        ("11010120991301001", False),
        ("11010120990100001", False),
        ("11010120990132001", False),
        ("16010120991231001", False),
        ("00000020991231001", False),
        ("65010120991231001", True),
        ("83000020991231001", True),
        ("91115620991231001", True),
        ("90015620991231001", False),
        ("84010120991231001", False),
    ],
)
def test_province_and_date_must_be_possible(first_17, possible):
    assert is_id_number(with_check_digit(first_17)) is possible


@pytest.mark.parametrize("changed", ["", "1", " {}", "{} ", "{}\n", "{}0", "GL1:{}"])
def test_nothing_may_stand_around_it(changed):
    assert not is_id_number(changed.format(with_check_digit("11010120991231001")))


def test_digits_of_full_width_are_none():
    number = with_check_digit("11010120991231001")
    assert not is_id_number(number.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}))
