"""How a release is made, signed and published, for devices to fetch through their hubs (`README.md`).

bundle.py       a checkout -> one archive that a slot can be filled with
keys.py         the publisher's keys, in files
repository.py   archives -> a TUF repository that hubs import
"""
