"""The shipped units under a real systemd: a Debian in a folder, booted by systemd-nspawn, without a virtual machine.

    root.py      that Debian, made once, with the two virtual environments that the units name
    site.py      what an installer and an operator would put there: units, users, keys, configuration
    machine.py   one boot of it, from the first process to the last
    probe.py     runs inside, in the walls of a unit, and says what they let through

What such a machine cannot show: memory limits, device lists and address filters, for the kernel's controllers are not
handed to it. They are in the units, and `systemd-analyze` reads them; the kernel has not enforced them here.
"""
