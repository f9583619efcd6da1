"""The project says only what is true of itself."""

import re
import subprocess
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import msgspec
import pytest

import device.config
import hub.config

ROOT = Path(__file__).parents[1]
OURS = {"device", "hub", "protocol", "deploy"}


def test_no_other_distribution_provides_our_packages():
    assert "gatelight" in {found.name for found in distributions()}, "install it: make test does"
    for name in OURS:
        assert set(packages_distributions().get(name, ["gatelight"])) == {"gatelight"}, name


def tables(kind):
    yield kind
    for field in msgspec.structs.fields(kind):
        for inner in getattr(field.type, "__args__", (field.type,)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from tables(inner)


def test_every_setting_of_the_device_is_documented():
    text = (ROOT / "device/README.md").read_text(encoding="utf-8")
    keys = {name for table in tables(device.config.DeviceConfig) for name in table.__struct_fields__}
    assert len(keys) > 40, "the walk found the nested tables"
    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"`[{key}]`" not in text] == []


def rows():
    for line in (ROOT / "docs/features.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"[PSDN]\d+", cells[0]):
            yield cells


def test_the_feature_table_has_every_row_once():
    ids = [cells[0] for cells in rows()]
    assert ids == [
        f"{kind}{n}" for kind, count in (("P", 16), ("S", 10), ("D", 10), ("N", 11)) for n in range(1, count + 1)
    ]


def test_every_working_feature_names_a_test_that_exists():
    working = [cells for cells in rows() if cells[2].startswith("works")]
    assert len(working) >= 10
    for feature, _, _, proof in working:
        named = re.findall(r"`(tests/[^`]+)`", proof)
        assert named, feature
        for test in named:
            path, _, function = test.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not function or f"def {function}(" in text, f"{feature}: {test}"


@pytest.mark.parametrize(
    "name", ["README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "device/README.md", "hub/README.md"]
)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name} links to {target}"


def test_both_readmes_show_the_same_commands():
    def commands(name):
        blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
        return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if "--name" not in line]

    assert commands("README.md") == commands("README.zh.md")


def test_every_setting_of_the_hub_is_documented():
    text = (ROOT / "hub/README.md").read_text(encoding="utf-8")
    keys = {name for table in tables(hub.config.HubConfig) for name in table.__struct_fields__}
    assert len(keys) > 15
    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"`[{key}]`" not in text] == []


def test_nothing_names_the_machine_it_was_written_on_or_a_package_registry():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    strange = re.compile(rb"/wo" rb"rk/|pypi\.or" rb"g|pythonhost" rb"ed|registry\.npm|deb\.debian\.or" rb"g")
    for name in listed.stdout.decode().splitlines():
        path = ROOT / name
        if path.is_file() and "tests/data" not in name:
            assert not strange.search(path.read_bytes()), name
