"""Who was there at the same time: stays from what gates saw."""

from deploy.sandbox.platform.contacts import Sight, Visit, contacts, visits

STAY = 100


def seen(person, *times):
    """`+5` came at 5, `-9` left at 9."""
    return [Sight(person=person, at_ms=abs(at), inward=at > 0) for at in times]


def stays(*times):
    return [(visit.from_ms, visit.to_ms) for visit in visits(seen(1, *times), stay_ms=STAY)]


def test_who_comes_and_goes_was_there_meanwhile():
    assert stays(1000, -1500) == [(1000, 1500)]


def test_who_is_not_seen_to_leave_is_gone_after_a_stay():
    assert stays(1000) == [(1000, 1100)]


def test_who_comes_again_had_left_before():
    assert stays(1000, 1050, -1080) == [(1000, 1050), (1050, 1080)]
    assert stays(1000, 2000, -2500) == [(1000, 1100), (2000, 2500)]


def test_who_is_only_seen_to_leave_had_come_a_stay_before():
    assert stays(-1000) == [(900, 1000)]
    assert stays(500, -600, -1000) == [(500, 600), (900, 1000)]


def test_nobody_seen():
    assert visits([], stay_ms=STAY) == []


def test_people_are_told_apart_and_the_case_is_no_contact_of_itself():
    everybody = visits([*seen(1, 1000), *seen(2, 1050), *seen(3, 1200), *seen(4, 950, -990)], stay_ms=STAY)
    case = Visit(person=1, from_ms=1000, to_ms=1100)
    assert [visit.person for visit in contacts(everybody, case, around_ms=0)] == [2]
    assert [visit.person for visit in contacts(everybody, case, around_ms=10)] == [2, 4]
    assert [visit.person for visit in contacts(everybody, case, around_ms=100)] == [2, 3, 4]
