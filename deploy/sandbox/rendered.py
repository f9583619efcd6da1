"""The parts of a document that a program writes, between two marks, so that people can write the rest."""

from pathlib import Path


def put(document: Path, *, name: str, text: str) -> None:
    """Put `text` in the place of what stands between `<!-- name: rendered -->` and `<!-- name: end -->`.

    Raises:
        ValueError: the document does not have these marks, each once and in this order.
    """
    begin, end = f"<!-- {name}: rendered -->", f"<!-- {name}: end -->"
    whole = document.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(end) < whole.index(begin):
        raise ValueError(f"{document}: not one {begin} and one {end} after it")
    before, _, rest = whole.partition(begin)
    _, _, after = rest.partition(end)
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
