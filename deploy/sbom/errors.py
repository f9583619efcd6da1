"""One error, for one reader: whoever makes a release."""


class SbomError(Exception):
    """A bill of materials would have to invent something. The sentence says what, and which file to make again."""
