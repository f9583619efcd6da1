"""NOT PiDNG."""


class Picamera2Camera:
    """Never made."""
