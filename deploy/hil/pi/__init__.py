"""A Raspberry Pi 3B in QEMU, with Debian's kernel and the product's own code, whose pins are read from outside.

    image.py     packages and wheels -> kernel, device tree, root file system
    machine.py   one machine: its console, its pins, its end
    guest/       what runs inside: `init`, and `stage.py`, which does as it is told over the console

QEMU emulates the registers of the BCM2837's GPIO, so gpiozero, lgpio and the kernel's driver are the real ones, and
what they do to a pin is seen where a relay would see it. It has no inputs, no hardware PWM, no camera and no network.
"""
