"""The firmware as it runs in the field, without a Pi in the room: what `tests/hil` stands on.

    mirror.py    Debian's packages for other releases and processors, from whatever mirror this machine uses
    pi/          a Raspberry Pi 3B in QEMU, whose pins are read from outside
    camera/      picamera2 on libcamera's virtual camera
    systemd/     the shipped units under a real systemd

Everything that is fetched or built lies in `.hil/` of the checkout, and nothing outside it is changed but for what
`deploy/setup hil` installs.
"""
