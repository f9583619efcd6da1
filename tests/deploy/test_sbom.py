"""The bills of materials say what is shipped: the lock's versions and hashes, every file of others, by the schema."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.sbom.cli import document, main
from deploy.sbom.errors import SbomError
from deploy.sbom.facts import ELSEWHERE, installed, licence
from deploy.sbom.lock import read_lock
from deploy.sbom.shipped import read_shipped
from deploy.sbom.targets import TARGETS, Machine

ROOT = Path(__file__).parents[2]
OLD = Machine(python="3.11.2", processor="aarch64")
NEW = Machine(python="3.13.5", processor="aarch64")
DIGEST = "ab" * 32


@pytest.fixture(scope="module", params=sorted(TARGETS))
def target(request):
    return TARGETS[request.param]


@pytest.fixture(scope="module")
def kept(target):
    return (ROOT / f"deploy/sbom/{target.name}.cdx.json").read_text(encoding="utf-8")


def components(text):
    return {entry["bom-ref"]: entry for entry in json.loads(text)["components"]}


def lock_of(text):
    return read_lock(text.replace("HASH", f"--hash=sha256:{DIGEST}"))


def test_what_is_kept_is_what_would_be_made_now(target, kept):
    def facts(text):
        whole = json.loads(text)
        # Of a package's two versions another may be installed on another machine; its words on licences may differ.
        for entry in whole["components"]:
            entry.pop("licenses", None)
            entry.pop("properties", None)
        whole.pop("serialNumber")
        return whole

    try:
        now = document(target.name)
    except SbomError as error:
        pytest.fail(f"{error}")
    assert facts(kept) == facts(now), "stale: `make sbom` makes it again"


def test_what_is_kept_is_valid_by_the_schema(kept):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(kept) is None


def test_the_schema_would_find_a_fault(kept):
    broken = json.loads(kept)
    broken["components"][0]["type"] = "gate"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_it_is_made_of_its_content_alone(target):
    first = document(target.name)
    assert document(target.name) == first
    assert "timestamp" not in first
    assert str(ROOT) not in first


def test_every_package_is_pinned_with_hashes_and_has_a_licence(kept):
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    python = {ref: entry for ref, entry in components(kept).items() if ref.startswith("pkg:pypi/")}
    assert len(python) > 20
    for ref, entry in python.items():
        name, version = ref.removeprefix("pkg:pypi/").split("@")
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}=={version} "))
        block = []
        for line in lines[start + 1 :]:
            if not line.startswith("    --hash=sha256:"):
                break
            block.append(line.strip().removeprefix("--hash=sha256:").removesuffix(" \\"))
        assert {one["content"] for one in entry["hashes"]} == set(block), ref
        assert {one["alg"] for one in entry["hashes"]} == {"SHA-256"}
        assert entry["licenses"], f"{ref} names no licence: look at it"


def test_the_graph_reaches_everything_and_names_nothing_else(kept):
    whole = json.loads(kept)
    edges = {entry["ref"]: entry.get("dependsOn", []) for entry in whole["dependencies"]}
    start = whole["metadata"]["component"]["bom-ref"]
    seen, waiting = set(), [start]
    while waiting:
        ref = waiting.pop()
        if ref not in seen:
            seen.add(ref)
            waiting += edges[ref]
    assert seen == set(components(kept)) | {start}


def test_a_device_has_what_a_pi_needs_and_nothing_of_the_hub(kept, target):
    names = {entry["name"].lower() for entry in components(kept).values()}
    if target.name == "device":
        assert {"lgpio", "gpiozero", "pyzbar", "libzbar0", "libseccomp2", "python3-picamera2"} <= names
        assert not names & {"fastapi", "aiosqlite", "mosquitto", "uplot"}
    else:
        assert {"fastapi", "aiosqlite", "mosquitto", "uplot", "@hpke/core"} <= names
        assert not names & {"lgpio", "gpiozero", "pyzbar", "python3-picamera2"}


def test_debians_packages_have_no_invented_version(kept):
    debian = [entry for ref, entry in components(kept).items() if ref.startswith("pkg:deb/")]
    assert debian
    assert all("version" not in entry and "@" not in entry["purl"] for entry in debian)


def test_optional_is_what_only_some_have():
    parts = components((ROOT / "deploy/sbom/device.cdx.json").read_text(encoding="utf-8")).values()
    scopes = {entry["name"]: entry["scope"] for entry in parts}
    assert scopes["python-pkcs11"] == scopes["luma.oled"] == scopes["libtpm2-pkcs11-1"] == "optional"
    assert scopes["zxing-cpp"] == scopes["cbor2"] == "required"


def test_what_is_installed_on_a_hub_is_what_is_listed():
    lock = read_lock((ROOT / "deploy/hub/requirements.lock").read_text(encoding="utf-8"))
    pinned = {
        f"pkg:pypi/{entry.name}@{entry.version}"
        for machine in TARGETS["hub"].machines
        for entry in lock.all_on(machine)
    }
    listed = components((ROOT / "deploy/sbom/hub.cdx.json").read_text(encoding="utf-8"))
    assert pinned == {ref for ref in listed if ref.startswith("pkg:pypi/")}


SCRIPTS = sorted(ROOT.glob("deploy/*/install.sh"))


def test_there_are_scripts_that_install():
    assert "hub" in {path.parent.name for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_what_is_installed_by_apt_is_listed(script):
    text = script.read_text(encoding="utf-8")
    wanted = {
        package
        for group in re.findall(r"PACKAGES\+?=\(([^)$]*)\)", text)
        for line in group.splitlines()
        for package in line.split("#")[0].split()
    }
    assert wanted
    assert wanted <= {entry.name for entry in read_shipped(TARGETS[script.parent.name], ROOT).debian}


def test_every_file_of_others_in_the_console_is_listed_with_the_version_its_readme_names():
    folder = ROOT / "hub/console/static/vendor"
    shipped = read_shipped(TARGETS["hub"], ROOT)
    there = {str(path.relative_to(ROOT)) for path in folder.iterdir() if path.suffix not in {".md", ".LICENSE"}}
    assert {name for entry in shipped.assets for name in entry.files} == there
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for origin in (origin for entry in shipped.assets for origin in entry.made_of):
        assert re.search(rf"`{re.escape(origin.name)}` {re.escape(origin.version)}\b", readme), origin.name


def test_of_two_versions_each_machine_gets_its_own():
    lock = lock_of(
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    HASH\n    # via x\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    HASH\n"
    )
    assert (lock.on(OLD, "NumPy").version, lock.on(NEW, "numpy").version) == ("2.4.6", "2.5.5")


def test_what_the_lock_lacks_is_said():
    with pytest.raises(SbomError, match=r"0 versions of tuf for Python 3\.11 on aarch64"):
        lock_of("numpy==2.4.6 \\\n    HASH\n").on(OLD, "tuf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numpy==2.4.6\n", "line 1: neither"),
        ("numpy>=2 \\\n    HASH\n", "line 1: neither"),
        ("numpy==2.4.6 \\\n    --hash=md5:12\n", "line 2: neither"),
        ("numpy==2.4.6 \\\npillow==13.0.0 \\\n    HASH\n", "numpy 2.4.6 has no hashes"),
        ("    HASH\n", "line 1: neither"),
    ],
)
def test_a_lock_without_its_hashes_is_refused(text, said):
    with pytest.raises(SbomError, match=said):
        lock_of(text)


@pytest.mark.parametrize(
    ("expression", "words", "classifiers", "expected"),
    [
        ("MIT OR Apache-2.0", "ignored", [], ("MIT OR Apache-2.0", None)),
        ("", "BSD-3-Clause", ["License :: OSI Approved :: BSD License"], ("BSD-3-Clause", None)),
        ("", "", ["License :: OSI Approved :: MIT License"], ("MIT", None)),
        ("", "", ["License :: OSI Approved :: BSD License"], (None, "BSD License")),
        ("", "Apache 2.0", ["License :: OSI Approved :: Apache Software License"], (None, "Apache 2.0")),
        ("", "the text\nof a licence", ["License :: OSI Approved :: BSD License"], (None, "BSD License")),
        ("", "UNKNOWN", ["Programming Language :: Python"], (None, None)),
    ],
)
def test_a_licence_is_named_as_spdx_only_where_it_can_be_one_only(expression, words, classifiers, expected):
    assert licence(expression=expression, words=words, classifiers=classifiers) == expected


def test_what_is_told_of_packages_from_elsewhere_is_of_the_locked_version():
    lock = read_lock((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    for name, facts in ELSEWHERE.items():
        assert lock.on(OLD, name).version == facts.version, f"look at the licence and needs of the new {name}"


def test_an_installed_package_tells_its_needs():
    facts = installed("pynacl")
    assert facts.version == distribution("pynacl").version
    assert "cffi" in {need.name for need in facts.needs}


def test_what_is_not_installed_is_said():
    with pytest.raises(SbomError, match="no-such-package is not installed"):
        installed("no-such-package")


def test_it_is_written_where_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deploy.sbom.cli.document", lambda target: f"of {target}\n")
    assert main(["hub", "--out", str(tmp_path / "x.json")]) == 0
    assert (tmp_path / "x.json").read_text() == "of hub\n"
    assert main(["device"]) == 0
    assert capsys.readouterr().out == "of device\n"


def test_what_does_not_fit_is_a_sentence(monkeypatch, capsys):
    def refuse(target):
        raise SbomError(f"no {target}")

    monkeypatch.setattr("deploy.sbom.cli.document", refuse)
    assert main(["device"]) == 1
    assert capsys.readouterr().err == "sbom: no device\n"
