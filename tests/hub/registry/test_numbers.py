import pytest

from hub.registry.numbers import is_credit_code, is_phone, is_registration_number

# The example of GB 32100-2015, and that of GS 15-2006.
CREDIT = "91350100M000100Y43"
REGISTRATION = "110108000000016"


def test_the_standards_examples_are_right():
    assert is_credit_code(CREDIT)
    assert is_registration_number(REGISTRATION)


@pytest.mark.parametrize("place", range(18))
def test_one_other_character_is_noticed_in_a_credit_code(place):
    for digit in "0123456789ABCDEFGHJKLMNPQRTUWXY":
        if digit != CREDIT[place]:
            assert not is_credit_code(CREDIT[:place] + digit + CREDIT[place + 1 :])


@pytest.mark.parametrize("place", range(15))
def test_one_other_digit_is_noticed_in_a_registration_number(place):
    for digit in "0123456789":
        if digit != REGISTRATION[place]:
            assert not is_registration_number(REGISTRATION[:place] + digit + REGISTRATION[place + 1 :])


@pytest.mark.parametrize("text", ["", CREDIT[:-1], CREDIT + "0", CREDIT.lower(), "９" + CREDIT[1:], CREDIT + "\n"])
def test_what_is_no_credit_code(text):
    assert not is_credit_code(text)


@pytest.mark.parametrize("text", ["13800138000", "010-62770000", "07551234567", "0755-12345678"])
def test_phones(text):
    assert is_phone(text)


@pytest.mark.parametrize("text", ["", "12800138000", "1380013800", "138001380001", "+8613800138000", "１3800138000"])
def test_no_phones(text):
    assert not is_phone(text)
