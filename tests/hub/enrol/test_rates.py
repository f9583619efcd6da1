import pytest

from hub.enrol import rates
from hub.enrol.rates import Rates, neighbourhood

pytestmark = pytest.mark.slow


class Clock:
    s = 0.0

    def __call__(self):
        return self.s


@pytest.fixture
def clock():
    return Clock()


def test_a_burst_then_a_rate(clock):
    asked = Rates(burst=3, per_s=0.5, now_s=clock)
    assert [asked.spend("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert asked.is_spent("a")
    assert not asked.is_spent("b")
    clock.s = 2.0
    assert [asked.spend("a") for _ in range(2)] == [True, False]
    clock.s = 1000.0
    assert [asked.spend("a") for _ in range(5)] == [True] * 3 + [False] * 2


def test_asking_whether_costs_nothing(clock):
    asked = Rates(burst=1, per_s=0, now_s=clock)
    assert not any(asked.is_spent("a") for _ in range(9))
    assert asked.spend("a")
    assert asked.is_spent("a")


def test_the_table_is_bounded_and_forgets_who_was_seen_least_lately(clock, monkeypatch):
    monkeypatch.setattr(rates, "_KEYS_MAX", 2)
    asked = Rates(burst=2, per_s=0, now_s=clock)
    for key in ("a", "b", "a", "c"):
        asked.spend(key)
    assert len(asked._left) == 2
    assert asked.is_spent("a")
    assert not asked.is_spent("b")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "::ffff:c000:201"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_network_is_one_host(address, key):
    assert neighbourhood(address) == key
