"""What may go wrong where a release is made.

FirmwareError    the bundle or the repository was not made; the sentence says why
"""


class FirmwareError(Exception):
    """Nothing was published; what was published before is as it was."""
