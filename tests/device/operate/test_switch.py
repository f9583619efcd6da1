"""The operator's switch, over restarts."""

import pytest

from device.operate.switch import Switch


def test_it_is_on_until_somebody_switches_it_off_and_stays_so(tmp_path):
    path = tmp_path / "disabled"
    switch = Switch(path)
    assert switch.on
    switch.off()
    assert (switch.on, Switch(path).on) == (False, False)
    switch.off()
    assert not Switch(path).on
    switch.back_on()
    assert (switch.on, Switch(path).on) == (True, True)
    switch.back_on()
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_refuses_leaves_the_gate_out_of_service(tmp_path, monkeypatch):
    switch = Switch(tmp_path / "disabled")
    switch.off()

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("device.operate.switch.erase", refuse)
    with pytest.raises(OSError, match="No space"):
        switch.back_on()
    assert not switch.on


def test_a_file_of_whatever_content_means_off(tmp_path):
    (tmp_path / "disabled").touch()
    assert not Switch(tmp_path / "disabled").on
