"""What a device and a hub are made of, as CycloneDX 1.6: `python -m deploy.sbom device|hub [--out FILE]`.

Versions and hashes are those of requirements.lock, for every processor and Python that Gatelight is installed on.
Licences, and who needs whom, are read from what is installed here. The same checkout gives the same bytes on the same
machine.
"""
