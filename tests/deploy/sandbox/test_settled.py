"""When a site counts as settled."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from deploy.sandbox import site as module
from deploy.sandbox.site import Site


@dataclass(eq=False)
class Heard:
    """A gate with what it said."""

    scans: list


def heard(*seqs):
    return Heard([SimpleNamespace(seq=seq) for seq in seqs])


@pytest.mark.parametrize(("distinct", "settled"), [(2, False), (4, False), (5, True)])
async def test_what_a_gate_made_that_came_from_the_box_must_have_arrived_too(monkeypatch, distinct, settled):
    async def get_json(_session, _url):
        return {"distinct": distinct, "gaps": 0}

    async def read_metrics(_session, _url):
        return {"outbox_rows": 0}

    async def read_gate(_gate):
        return SimpleNamespace(head=SimpleNamespace(seq=2), depth=0)

    for stand_in in (get_json, read_metrics, read_gate):
        monkeypatch.setattr(module, stand_in.__name__, stand_in)
    layout = SimpleNamespace(pages_url="", hub_url="")
    site = SimpleNamespace(gates=[heard(1, None, 2)], blanks=[heard(1, 2, 3)], joined=[], session=None, layout=layout)
    assert await Site._settled(site) is settled
