"""The life of a device: from the box to a site, renewed there, and wiped into the box again (PROTOCOL §8).

mode.py      what an un-enrolled device does: looks for a provisioning code, and takes it
attempt.py   one code, from keys to the written site; goes on where a power cut ended it
client.py    HTTPS to the hub, pinned to the authority that the code names
site.py      the enrolled site on disk: old or new, never between
renewal.py   a new certificate over the old one, and perhaps a new signing key
wipe.py      everything is erased; once begun, it is finished
"""
