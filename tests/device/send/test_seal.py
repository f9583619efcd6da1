import dataclasses

import pytest

from device.send.seal import seal
from protocol.checkin import Evidence, parse_checkin, verify_checkin
from protocol.errors import MalformedError


def test_every_field_of_the_draft_is_sealed(draft, device, device_key):
    draft = dataclasses.replace(
        draft,
        masked=("张", "11", "23"),
        evidence=Evidence(issuer_kid=b"k" * 8, code_issued_s=1_790_000_000, rule="14d"),
        temperature_cc=3690,
    )
    data = seal(draft, device=device, epoch=b"epoch-01", seq=7, prev=b"p" * 32, key=device_key)
    sealed = parse_checkin(data)
    verify_checkin(sealed, key=device_key.public)
    checkin = dataclasses.asdict(sealed.checkin)
    assert {name: checkin.pop(name) for name in ("device", "epoch", "seq", "prev")} == {
        "device": device,
        "epoch": b"epoch-01",
        "seq": 7,
        "prev": b"p" * 32,
    }
    assert checkin == dataclasses.asdict(draft)


def test_what_the_hub_would_refuse_is_not_sealed(draft, device, device_key):
    wrong = dataclasses.replace(draft, code=b"too short")
    with pytest.raises(MalformedError):
        seal(wrong, device=device, epoch=b"epoch-01", seq=1, prev=bytes(32), key=device_key)
