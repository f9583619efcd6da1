"""The contract of `Button`, on the simulated one and on gpiozero's Button (mock pin)."""

import pytest


def test_a_press_is_heard_once(button_rig):
    heard = []
    button_rig.part.listen(on_press=lambda: heard.append("press"), on_hold=lambda: heard.append("hold"))
    button_rig.press()
    button_rig.release()
    button_rig.press()
    button_rig.release()
    assert heard == ["press", "press"]


def test_a_long_press_is_a_press_and_then_one_hold(button_rig, until):
    heard = []
    button_rig.part.listen(on_press=lambda: heard.append("press"), on_hold=lambda: heard.append("hold"))
    button_rig.press()
    assert until(lambda: len(heard) == 2)
    button_rig.release()
    assert heard == ["press", "hold"]


def test_what_a_callback_raises_is_kept(button_rig):
    error = KeyError("fault")

    def fail():
        raise error

    button_rig.part.listen(on_press=fail, on_hold=lambda: None)
    with pytest.raises(KeyError):
        button_rig.press()
    assert button_rig.part.failed is error
