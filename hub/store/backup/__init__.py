"""The hub in one file, and back: an archive of its database, its configuration and its keys.

manifest.py   what an archive says of itself, and when it ends
copy.py       a running hub's database → a copy of one moment, without what the platform holds already
archive.py    files ⇄ one .tar.gz, every one of them checked by its SHA-256
rotation.py   which archives of a folder go
swap.py       a restored database in the place of another: the old one or the new one, whenever power goes
"""
