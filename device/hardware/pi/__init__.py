"""The ports on a Raspberry Pi: gpiozero on lgpio for the pins, picamera2 for the camera.

Only `main` and `cli` import it.
The GPIO parts take gpiozero's pin factory as an argument: `pins.lgpio_factory()` on a Pi, gpiozero's own MockFactory
in tests.
"""
