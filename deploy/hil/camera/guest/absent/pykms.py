"""NOT python3-kms++: a name for each format. Only a preview on a screen would use it, and a gate has none."""


class _Formats:
    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _Formats()
