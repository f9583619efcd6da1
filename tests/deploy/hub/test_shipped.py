"""What goes onto a server, looked at by the programs that will read it, and by linters where no engine runs."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.hub.broker import directives
from hub.config import load
from hub.health import Metrics

ROOT = Path(__file__).parents[3]
KEYS_OF_JOURNALD = {
    "Storage", "SystemMaxUse", "SystemKeepFree", "MaxRetentionSec", "MaxFileSec", "RateLimitIntervalSec", "RateLimitBurst",
}  # fmt: skip


@pytest.fixture(scope="module")
def compose(shipped):
    return yaml.safe_load((shipped / "compose.yaml").read_text())


@pytest.fixture
def install(shipped, tmp_path):
    """Runs install.sh for a folder; returns what it said."""
    bash, root = shutil.which("bash"), tmp_path / "root"
    root.mkdir()

    def run(*options, ok=True):
        command = [bash, str(shipped / "install.sh"), "--root", str(root), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ok, done.stderr
        return done.stdout + done.stderr

    run.root = root
    return run


def files_in(root):
    return {
        path.relative_to(root): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_second_installation_changes_nothing_and_says_so(install):
    said = install("--listen", "10.20.0.5")
    assert said.count("changed ") > 10
    before = files_in(install.root)
    said = install("--listen", "10.20.0.5")
    assert "changed " not in said
    assert said.count("already ") > 10
    assert files_in(install.root) == before


def test_a_dry_run_writes_nothing(install):
    assert install("--dry-run").count("would ") > 10
    assert files_in(install.root) == {}


def test_what_a_site_has_configured_is_never_overwritten_and_what_is_ours_is(install):
    install("--listen", "10.20.0.5")
    etc = install.root / "etc"
    (etc / "gatelight-hub" / "hub.toml").write_text("mine")
    (etc / "mosquitto" / "gatelight.conf").write_text("listener 8883 10.9.9.9\n")
    unit = etc / "systemd" / "system" / "gatelight-hub.service"
    shipped = unit.read_bytes()
    unit.write_text("old")
    said = install("--listen", "10.20.0.5")
    assert (etc / "gatelight-hub" / "hub.toml").read_text() == "mine"
    assert (etc / "mosquitto" / "gatelight.conf").read_text() == "listener 8883 10.9.9.9\n"
    assert unit.read_bytes() == shipped
    assert "changed  /etc/systemd/system/gatelight-hub.service" in said
    assert "another listener than 10.20.0.5" in said


def test_the_installed_configuration_is_a_hubs_with_an_id_of_its_own(install):
    install("--listen", "10.20.0.5")
    path = install.root / "etc" / "gatelight-hub" / "hub.toml"
    config = load(path)
    assert config.hub_id != "0" * 16
    assert path.stat().st_mode & 0o777 == 0o640
    assert config.database == Path("/var/lib/gatelight-hub/hub.sqlite")
    assert config.broker.manages_access
    said = dict(directives((install.root / "etc" / "mosquitto" / "gatelight.conf").read_text()))
    assert said["listener"] == "8883 10.20.0.5"
    pki = install.root / "etc" / "gatelight-hub" / "pki"
    assert pki.stat().st_mode & 0o777 == 0o700
    assert all(file.parent == Path("/etc/gatelight-hub/pki") for file in config.files)
    path.unlink()
    install()
    assert load(path).hub_id != config.hub_id


def test_an_address_that_is_none_is_refused(install):
    assert "an address" in install("--listen", "10.0.0.1; reboot", ok=False)
    assert files_in(install.root) == {}


def test_the_units_name_what_is_installed(install, shipped):
    install()
    for unit in sorted((shipped / "units").rglob("*.service")):
        text = unit.read_text()
        for path in re.findall(r"(/etc/gatelight-hub/\S+\.toml|/var/backups/\S+)", text):
            assert (install.root / path.lstrip("/")).exists(), (unit.name, path)
    start = (shipped / "mosquitto-start.conf").read_text()
    assert "-c /etc/mosquitto/gatelight.conf" in start
    assert (install.root / "etc" / "mosquitto" / "gatelight.conf").exists()


@pytest.mark.parametrize("script", ["install.sh", "gatelight-hub"])
def test_shell_is_sound(shipped, lint, script):
    assert subprocess.run(["bash", "-n", str(shipped / script)], check=False).returncode == 0
    assert (shipped / script).stat().st_mode & 0o111
    assert lint("shellcheck", "-x", shipped / script) == ""


def test_the_command_runs_as_the_hubs_user_with_its_configuration(shipped, tmp_path):
    """With a `runuser` and an `id` that tell what they were asked."""
    for name, script in (("runuser", 'echo "$@"'), ("id", "echo root")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def told(*words):
        return subprocess.run(
            [shutil.which("sh"), str(shipped / "gatelight-hub"), *words],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()

    program = ["-u", "gatelight-hub", "--", "/opt/gatelight-hub/bin/gatelight-hub"]
    assert told("status", "--json") == [*program, "status", "--json", "--config", "/etc/gatelight-hub/hub.toml"]
    assert told("status", "--config", "x.toml") == [*program, "status", "--config", "x.toml"]
    assert told("status", "--config=x.toml") == [*program, "status", "--config=x.toml"]
    assert told() == program


def test_the_containerfile_passes_its_linter(shipped, lint):
    assert lint("hadolint", shipped / "Containerfile") == ""


def test_the_image_runs_as_nobody_special_and_builds_nothing(shipped):
    stages = re.split(r"^FROM ", (shipped / "Containerfile").read_text(), flags=re.MULTILINE)[1:]
    assert [stage.split("\n", 1)[0] for stage in stages] == [
        "${DEBIAN} AS build",
        "${DEBIAN} AS broker",
        "${DEBIAN} AS hub",
    ]
    for stage in stages[1:]:
        assert re.findall(r"^USER (.*)", stage, flags=re.MULTILINE)[-1] in {"10001:10001", "10002:10002"}
        assert "HEALTHCHECK" in stage
        assert "pip install" not in stage
        assert not re.search(r"\b(gcc|build-essential|python3-dev|curl|wget|git)\b", stage)
    assert "/readyz" in stages[2]


def test_the_image_is_built_from_what_is_there(shipped):
    text = (shipped / "Containerfile").read_text()
    for words in re.findall(r"^COPY (?!--from)(.*)", text, flags=re.MULTILINE):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
    ignore = (shipped / "Containerfile.dockerignore").read_text().split()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    assert {words.split("/")[0] for line in re.findall(r"^COPY (?!--from)(.*)", text, flags=re.MULTILINE)
            for words in line.split()[:-1]} <= let_through  # fmt: skip


def test_compose_follows_the_specification(shipped, lint):
    assert lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", shipped / "compose.yaml") == ""


def test_yaml_is_tidy(shipped, lint):
    assert lint("yamllint", "-c", shipped / ".yamllint", "--strict", shipped) == ""
    assert len(list(shipped.rglob("*.y*ml"))) >= 4


def test_every_container_stands_behind_the_same_walls(compose):
    assert set(compose["services"]) == {"broker", "hub", "setup"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "devices", "pid", "user"} & set(service), name
        assert service.get("network_mode") in {None, "none"}, name
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} == set(limits), name
        assert {"max-size", "max-file"} == set(service["logging"]["options"]), name
        assert service["ulimits"]["core"] == 0
    published = {
        port["target"]: port["host_ip"] for name in ("broker", "hub") for port in compose["services"][name]["ports"]
    }
    assert set(published) == {8883, 8444, 8445}, "health and metrics stay inside"
    assert all(published.values()), "each at one address"
    for target, address in published.items():
        assert address.startswith("${GATELIGHT_LISTEN:?") or (target, address) == (
            8445,
            "${GATELIGHT_OPERATORS:-127.0.0.1}",
        )


def test_compose_names_only_what_it_has(compose, shipped):
    services, text = compose["services"], (shipped / "Containerfile").read_text()
    for service in services.values():
        for mount in service.get("volumes", ()):
            assert mount["type"] == "bind" or mount["source"] in compose["volumes"]
        for kind in ("configs", "secrets"):
            assert {entry["source"] for entry in service.get(kind, ())} <= set(compose[kind])
        assert set(service.get("networks", ())) <= set(compose["networks"])
        if "build" in service:
            assert f"AS {service['build']['target']}\n" in text
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in services.values()} == {
        f"gatelight-{name}:{version}" for name in ("hub", "broker")
    }
    conf = dict(directives((shipped / "mosquitto.conf").read_text()))
    given = [*services["broker"]["configs"], *services["broker"]["secrets"]]
    assert {entry["target"] for entry in given} == {conf["cafile"], conf["certfile"], conf["keyfile"]}


def test_alerts_ask_for_metrics_that_there_are(shipped):
    rules = yaml.safe_load((shipped / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    text = Metrics().text().decode()
    there = set(re.findall(r"^# TYPE (\w+)", text, flags=re.MULTILINE))
    for rule in rules:
        for name in re.findall(r"gatelight_hub_\w+", rule["expr"]):
            assert name in there or name.removesuffix("_bucket") in there, name
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "do"} == set(rule["annotations"]), rule["alert"]
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_alerts_come_when_they_must_and_not_before(shipped, lint):
    folder = shipped / "prometheus"
    assert lint("promtool", "check", "config", folder / "scrape.yml") == ""
    assert lint("promtool", "test", "rules", folder / "alerts_test.yml") == ""


def test_log_settings_are_read_by_their_programs(shipped, lint, tmp_path):
    text = (shipped / "journald.conf").read_text()
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert set(pairs) == KEYS_OF_JOURNALD
    assert "[Journal]" in text
    mine = tmp_path / "logrotate.conf"
    # It reads nothing that others could have written.
    mine.write_bytes((shipped / "logrotate.conf").read_bytes())
    mine.chmod(0o644)
    assert lint("logrotate", "-d", "-s", tmp_path / "state", mine) == ""


def test_the_firewall_is_read_by_its_program(shipped, lint):
    said = lint("nft", "-c", "-f", shipped / "firewall.nft")
    if "Operation not permitted" in said:
        pytest.skip("only root may ask nft")
    assert said == ""


def test_the_lock_has_the_versions_of_the_checkouts(shipped):
    def versions(path):
        return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", path.read_text(), flags=re.MULTILINE))

    ours, all_of_them = versions(shipped / "requirements.lock"), versions(ROOT / "requirements.lock")
    assert {name: all_of_them.get(name) for name in ours} == ours
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *extras["dependencies"],
        *extras["optional-dependencies"]["hub"],
        *extras["optional-dependencies"]["console"],
    ]
    names = {re.match(r"[A-Za-z0-9._-]+", want)[0].lower() for want in wanted} - {"gatelight"}
    assert names <= set(ours), "make it again: see README.md"
    text = (shipped / "requirements.lock").read_text()
    assert "://" not in text, "an index is this machine's business"


@pytest.mark.parametrize("name", ["README.md", "upgrade.md"])
def test_what_the_papers_name_is_there(shipped, name):
    text = (shipped / name).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (shipped / target).exists(), target


def test_the_commands_in_the_papers_are_the_programs(shipped, capsys):
    from hub.cli.entry import _parser

    for name in ("README.md", "README.zh.md", "upgrade.md"):
        for line in re.findall(
            r"^(?:sudo )?gatelight-hub (.*?)(?:\s+#.*)?$", (shipped / name).read_text(), flags=re.MULTILINE
        ):
            words = line.split()
            if any(word.startswith((">", "|", "<")) for word in words):
                words = words[: next(at for at, word in enumerate(words) if word.startswith((">", "|", "<")))]
            _parser(words).parse_args(words)
