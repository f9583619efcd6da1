"""How many pictures each engine reads, and at what cost: one Markdown table, for docs/decode-rates.md.

    python tests/bench/decode_rate.py [FOLDER OF PHOTO SETS] [--frames N]

Engines run in this process, without the jail, so that only reading is timed; `--overhead` measures what the child adds.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[2]))

from device.hardware.sim.render import HARD, TYPICAL, Look, background, render_code
from device.model import Frame
from device.scan.decode import DecoderProcess
from device.scan.decoder.engines import Luma, PyzbarEngine, ZxingEngine

SAMPLE = Path(__file__).parents[1] / "data" / "qr-photos"
PICTURES = {".png", ".jpg", ".webp"}
# As long as a live code: version 9-M.
TEXT = "GL1:" + "6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5" * 6
TRIES = 7
SIZES = ((640, 480), (1280, 720), (1456, 1088))

Read = Callable[[Luma], list[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture and the texts that are known to stand in it; none where nobody has read it yet."""

    luma: Luma
    texts: frozenset[str]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=300, help="rendered frames a set at 640 x 480; a third above")
    parser.add_argument("--overhead", action="store_true", help="measure the decode child instead")
    args = parser.parse_args()
    if args.overhead:
        print_overhead(frames=args.frames)
        return
    if not args.photos.is_dir():
        sys.exit(f"{args.photos}: no such folder. The sets and where they come from: docs/decode-rates.md")
    zxing, pyzbar = ZxingEngine(), PyzbarEngine()
    engines: dict[str, Read] = {"zxing": zxing.read_plain, "zxing + second look": zxing.read, "pyzbar": pyzbar.read}
    print("| set | pictures |", "".join(f" {name} % |" for name in engines), " CPU ms, median |", sep="")
    print("|---|---|", "---|" * (len(engines) + 1), sep="")
    for folder in sorted(path for path in args.photos.iterdir() if path.is_dir()):
        print_row(folder.name, list(photographs(folder)), engines, nothing="falsepositives" in folder.name)
    for size in SIZES:
        count = args.frames if size == SIZES[0] else args.frames // 3
        for name, look in (("typical", TYPICAL), ("hard", HARD)):
            print_row(f"rendered {name} {size[0]}x{size[1]}", rendered(look, size=size, count=count), engines)
        empty = [
            Picture(luma=background(size=size, rng=np.random.default_rng(n)), texts=frozenset()) for n in range(20)
        ]
        print_row(f"rendered, no code {size[0]}x{size[1]}", empty, engines, nothing=True)


def print_row(name: str, pictures: list[Picture], engines: dict[str, Read], *, nothing: bool = False) -> None:
    """One set. With `nothing` the column counts pictures in which anything was read, and none should be."""
    rates, costs = [], []
    for read in engines.values():
        right, wrong, cpu_ms = 0, 0, []
        for picture in pictures:
            began_ns = time.process_time_ns()
            found = read(picture.luma)
            cpu_ms.append((time.process_time_ns() - began_ns) / 1e6)
            texts = frozenset[str]().union(*map(readings, found))
            right += bool(texts & picture.texts)
            wrong += bool(found and (nothing or picture.texts) and not texts & picture.texts)
        rate = f"{wrong} read" if nothing else f"{100 * right / len(pictures):.1f}"
        rates.append(rate + (f" ({wrong} wrong)" if wrong and not nothing else ""))
        costs.append(f"{statistics.median(cpu_ms):.1f}")
    print(f"| {name} | {len(pictures)} | {' | '.join(rates)} | {' / '.join(costs)} |", flush=True)


def photographs(folder: Path) -> Iterator[Picture]:
    """The pictures of a set, with NAME.txt beside them or texts.json for all."""
    listed = folder / "texts.json"
    texts_of = json.loads(listed.read_text("utf-8")) if listed.exists() else {}
    for path in sorted(folder.iterdir()):
        if path.suffix in PICTURES:
            beside = path.with_suffix(".txt")
            texts = [beside.read_text("utf-8")] if beside.exists() else texts_of.get(path.name, ())
            with Image.open(path) as image:
                yield Picture(luma=np.array(image.convert("L")), texts=frozenset(map(plain, texts)))


def rendered(look: Look, *, size: tuple[int, int], count: int) -> list[Picture]:
    """Frames of one phone each, the same in every run."""
    rng = np.random.default_rng(20261122)
    texts = frozenset([plain(TEXT)])
    return [Picture(luma=render_code(TEXT, size=size, rng=rng, look=look), texts=texts) for _ in range(count)]


def plain(text: str) -> str:
    """A text without its line ends and double spaces, which side files do not keep faithfully."""
    return " ".join(text.split())


def readings(raw: bytes) -> set[str]:
    """What the bytes of a symbol may mean: old phones wrote Shift JIS or GB without saying so."""
    return {plain(raw.decode(charset, "replace")) for charset in ("utf-8", "shift_jis", "gb18030", "latin-1")}


def print_overhead(*, frames: int) -> None:
    """What the way through the child costs over the bare call, in wall-clock ms, and how long a child takes to start."""
    engine = ZxingEngine()
    for size in SIZES:
        lumas = [picture.luma for picture in rendered(TYPICAL, size=size, count=frames // 3)]
        began_s = time.perf_counter()
        decoder = DecoderProcess(frame_px_max=size[0] * size[1], scene_gate=False)
        decoder.start()
        start_ms = (time.perf_counter() - began_s) * 1000
        time.sleep(2)  # The spare starts in the meantime; a gate has it long before it is needed.
        bare_ms, child_ms = [], []
        for seq, luma in enumerate(lumas):
            frame = Frame(luma=luma, seq=seq, at_mono_ns=0)
            # The best of some tries each: what others do on the machine is not the child's cost.
            bare_ms.append(min(wall_ms(lambda: engine.read(luma)) for _ in range(TRIES)))  # noqa: B023 -- called at once.
            child_ms.append(min(decoder.decode(frame).decode_ms for _ in range(TRIES)))
        decoder.close()
        added_ms = [there - here for here, there in zip(bare_ms, child_ms, strict=True)]
        print(
            f"{size[0]}x{size[1]}: bare {statistics.median(bare_ms):.2f} ms, child {statistics.median(child_ms):.2f}, "
            f"added {statistics.median(added_ms):.2f}; start of a child {start_ms:.0f} ms"
        )


def wall_ms(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began_s = time.perf_counter()
    call()
    return (time.perf_counter() - began_s) * 1000


if __name__ == "__main__":
    main()
