import pytest

from protocol.errors import MalformedError
from protocol.release import RELEASE_MAX, release_of, version_of


@pytest.mark.parametrize(
    ("version", "release"),
    [("0.0.1", 1), ("0.1.0", 1000), ("1.2.3", 1_002_003), ("999.999.999", RELEASE_MAX)],
)
def test_a_version_is_one_number_and_back(version: str, release: int) -> None:
    assert release_of(version) == release
    assert version_of(release) == version


def test_a_later_version_has_the_greater_number() -> None:
    versions = ["0.0.1", "0.0.10", "0.1.0", "0.9.999", "0.10.0", "1.0.0", "10.0.0"]

    assert sorted(versions, key=release_of) == versions


@pytest.mark.parametrize(
    "version",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "1.2.3rc1",
        "v1.2.3",
        "01.2.3",
        "1.2.1000",
        "-1.2.3",
        "1.2.3\n",
        "0.0.0",
        "١.٢.٣",
        "x" * 9999,
    ],
)
def test_what_is_no_release_is_refused_by_name(version: str) -> None:
    with pytest.raises(MalformedError, match=r"three numbers") as refused:
        release_of(version)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("release", [0, -1, RELEASE_MAX + 1])
def test_a_number_out_of_bounds_has_no_version(release: int) -> None:
    with pytest.raises(MalformedError, match="release"):
        version_of(release)
