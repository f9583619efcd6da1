"""What is typed into the form of an application: each field, all of them, and what may be kept of it."""

import json

import pytest

from hub.registry.applications import FieldsError, Said, checked_application
from hub.registry.numbers import is_division, masked
from protocol.terms import CertificateKind, PlaceKind

ID_NUMBER = "11010120991231004X"
TYPED = {
    "name": "江北万象城", "kind": "mall", "body": "重庆某商业管理有限公司", "certificate_kind": "credit_code",
    "certificate": "91350100M000100Y43", "applicant": "张伟", "id_number": ID_NUMBER, "phone": "13900000001",
    "division": "500105", "province": "重庆市", "city": "重庆市", "district": "江北区", "township": "观音桥街道",
    "latitude": "29.5745", "longitude": "106.533", "address": "建新北路1号", "people_limit": "2000",
    "commitment": "yes",
}  # fmt: skip
OPTIONAL = {"people_limit"}


def wrong(**typed):
    with pytest.raises(FieldsError) as caught:
        checked_application(TYPED | typed)
    return caught.value.fields


def test_what_is_kept_and_what_only_the_platform_reads():
    said, applicant = checked_application(TYPED)
    assert (said.kind, said.certificate_kind) == (PlaceKind.MALL, CertificateKind.CREDIT_CODE)
    assert (said.latitude_udeg, said.longitude_udeg) == (29_574_500, 106_533_000)
    assert (said.id_number, said.phone) == ("11**************4X", "13*******01")
    assert (applicant.id_number, applicant.phone, applicant.certificate) == (ID_NUMBER, "13900000001", None)
    assert ID_NUMBER not in said.json()
    assert "13900000001" not in said.json()
    assert Said.from_json(said.json()) == said


def test_a_person_as_a_body_is_masked_too():
    said, applicant = checked_application(TYPED | {"certificate_kind": "id_card", "certificate": ID_NUMBER})
    assert said.certificate == "11**************4X"
    assert applicant.certificate == ID_NUMBER


def test_every_field_is_mandatory_and_all_are_named_at_once():
    with pytest.raises(FieldsError) as caught:
        checked_application({})
    assert set(caught.value.fields) == TYPED.keys() - OPTIONAL


@pytest.mark.parametrize("name", sorted(TYPED.keys() - OPTIONAL))
@pytest.mark.parametrize("empty", ["", " ", "\u3000"])
def test_each_field_that_is_empty_is_named(name, empty):
    assert set(wrong(**{name: empty})) == {name}


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("certificate", "91350100M000100Y44"),
        ("certificate", "91350100M000100Y4"),
        ("certificate", "310101199001011234"),
        ("id_number", "110101209912310044"),
        ("id_number", "1101012099123100"),
        ("phone", "12345678901"),
        ("phone", "+8613900000001"),
        ("division", "50010"),
        ("division", "990105"),
        ("division", "500000"),
        ("latitude", "91"),
        ("latitude", "nan"),
        ("latitude", "1e1"),
        ("latitude", "29,5"),
        ("longitude", "-180.000001"),
        ("longitude", "Infinity"),
        ("people_limit", "0"),
        ("people_limit", "1000001"),
        ("people_limit", "many"),
        ("name", "n" * 65),
        ("name", "a\u202eb"),
        ("name", "\x1b[31mred"),
        ("address", "a" * 129),
        ("applicant", "\u200b"),
        ("kind", "palace"),
        ("kind", "MALL"),
        ("certificate_kind", "passport"),
        ("commitment", "no"),
    ],
)
def test_what_cannot_be_accepted_is_named_at_its_field(name, bad):
    assert name in wrong(**{name: bad})


def test_a_number_is_taken_as_it_is_read_aloud_or_pasted():
    typed = TYPED | {
        "id_number": "110101 2099 1231 004x", "certificate": "９１３５０１００ｍ０００１００ｙ４３", "phone": "139 0000 0001",
        "name": "  江北\u3000万象城\n", "people_limit": "",
    }  # fmt: skip
    said, applicant = checked_application(typed)
    assert (applicant.id_number, applicant.phone) == (ID_NUMBER, "13900000001")
    assert (said.certificate, said.name, said.people_limit) == ("91350100M000100Y43", "江北 万象城", None)


@pytest.mark.parametrize(
    ("kind", "number"),
    [("registration", "110108000000016"), ("id_card", ID_NUMBER), ("credit_code", "91350100M000100Y43")],
)
def test_each_kind_of_certificate_has_its_own_check(kind, number):
    checked_application(TYPED | {"certificate_kind": kind, "certificate": number})
    for other in {"registration", "id_card", "credit_code"} - {kind}:
        assert set(wrong(certificate_kind=other, certificate=number)) == {"certificate"}


def test_a_refusal_repeats_nothing_that_was_typed():
    with pytest.raises(FieldsError) as caught:
        checked_application(TYPED | {"id_number": "110101209912310044", "phone": "12345678901"})
    assert "1101012099" not in json.dumps(caught.value.fields)
    assert "12345678901" not in str(caught.value)


@pytest.mark.parametrize("good", ["500105", "500105001", "500105001001", "110101", "820001"])
def test_divisions(good):
    assert is_division(good)


def test_masked_shows_two_at_each_end():
    assert masked("13900000001") == "13*******01"
