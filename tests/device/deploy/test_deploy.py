"""Promises of what goes on a board: a unit known to systemd and hardened, wheels that fit."""

import os
import re
import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from device.deploy import fetch_wheels
from device.image import archive, payload
from device.service.supervisor import Service
from device.settings import reader, sections
from device.settings.sections import BundleConfig, CollectConfig, Config
from device.settings.update import UpdateConfig
from device.telemetry.counters import Telemetry
from device.update.asked import ASKED, FETCHED, INSTALLED, RUN
from device.update.asked import SOFTWARE as SOFTWARE_STATE
from device.update.software.place import MARK, RESTART
from tests.device.deploy.playbooks import DEPLOY, run, tasks_of
from tests.support.places import ROOT

UNIT = DEPLOY / "fieldguide.service"
UPDATE, INSTALL = DEPLOY / "fieldguide-update.service", DEPLOY / "fieldguide-install.service"
SOFTWARE, BOOT = DEPLOY / "fieldguide-software.service", DEPLOY / payload.BOOT_UNIT
MOST_EXPOSURE = {UNIT: 2.5, UPDATE: 2.0, INSTALL: 2.0, SOFTWARE: 2.0, BOOT: 2.0}
NEWER_KEYS = ("RestartSteps", "RestartMaxDelaySec")
"""Known from systemd 254 on; Raspberry Pi OS Bookworm has 252, which passes over them."""


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here (Debian package systemd)")
    return found


def settings(text: str) -> dict[str, list[str]]:
    """Values of a unit by key, in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    "unit", [UNIT, *(DEPLOY / name for name in payload.UPDATE_UNITS)], ids=lambda unit: unit.name
)
def test_systemd_knows_every_setting_of_the_units(unit: Path, tmp_path: Path) -> None:
    verify = tool("systemd-analyze")
    for source in DEPLOY.glob("*fieldguide*.*"):
        # The service itself is not installed here.
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", source.read_text())
        (tmp_path / source.name).write_text(text)
    result = run(verify, "verify", "--man=no", tmp_path / unit.name)
    complaints = [
        line
        for line in result.stderr.splitlines()
        if str(tmp_path) in line and not any(key in line for key in NEWER_KEYS)
    ]
    assert result.returncode == 0 and complaints == [], result.stderr


@pytest.mark.parametrize("unit", MOST_EXPOSURE, ids=lambda unit: unit.name)
def test_the_units_are_hardened(unit: Path) -> None:
    analyze = tool("systemd-analyze")
    limit = f"--threshold={round(10 * MOST_EXPOSURE[unit])}"
    result = run(analyze, "security", "--offline=true", "--no-pager", limit, unit)
    assert result.returncode == 0, result.stdout
    level = re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)
    assert level is not None and float(level[1]) <= MOST_EXPOSURE[unit]


def test_the_stick_of_the_page_is_mounted_so_that_nothing_on_it_runs_or_changes() -> None:
    unit = settings((DEPLOY / payload.STICK_UNIT).read_text())
    (where,) = unit["Where"]
    assert f"{where.strip('/').replace('/', '-')}.mount" == payload.STICK_UNIT
    assert unit["Options"] == ["ro,nosuid,nodev,noexec"]
    label = Path(unit["What"][0]).name
    assert len(label) <= 11, "what FAT can hold"
    page = (ROOT / "device/fleet/README.md").read_text("utf-8")
    assert f"UPDATE_URL=file://{where}" in page and label in page
    # It sees what is mounted below /media after its start, too, and looks as soon as that is there.
    fetcher = settings(UPDATE.read_text())
    hidden = " ".join(fetcher["InaccessiblePaths"])
    assert "/media" not in hidden and "MountFlags" not in fetcher
    assert unit["Wants"] == unit["Before"] == [UPDATE.name]


def test_the_gate_on_hardening_can_fail(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert run(analyze, "security", "--offline=true", "--threshold=25", bare).returncode != 0


def test_the_manager_is_told_what_the_service_does() -> None:
    unit = settings(UNIT.read_text())
    assert unit["Type"] == ["notify"] and unit["Restart"] == ["always"]
    assert "WatchdogSec" in unit and unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    # With a growing pause between restarts, and no number of them after which it gives up.
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert float(unit["RestartMaxDelaySec"][0]) > float(unit["RestartSec"][0]) > 0
    # Broken settings end with 2 (`device.errors.ConfigError`).
    assert unit["RestartPreventExitStatus"] == ["2"]


def test_the_user_has_the_groups_of_cameras_and_of_the_edge_tpu(tmp_path: Path) -> None:
    sysusers = tool("systemd-sysusers")
    (tmp_path / "etc").mkdir()
    result = run(sysusers, f"--root={tmp_path}", DEPLOY / "sysusers.conf")
    assert result.returncode == 0, result.stderr
    user = settings(UNIT.read_text())["User"][0]
    assert re.search(rf"(?m)^{user}:[^:]*:\d+:\d+:", (tmp_path / "etc" / "passwd").read_text())
    groups = (tmp_path / "etc" / "group").read_text()
    for group in ("video", "plugdev", "apex"):
        assert re.search(rf"(?m)^{group}:.*:{user}$", groups)


def test_the_folders_are_the_service_s_own(tmp_path: Path) -> None:
    sysusers, tmpfiles = tool("systemd-sysusers"), tool("systemd-tmpfiles")
    (tmp_path / "etc").mkdir()
    assert run(sysusers, f"--root={tmp_path}", DEPLOY / "sysusers.conf").returncode == 0
    # Owners can only be given away by root; the rest must work for everyone.
    check = run(tmpfiles, "--create", f"--root={tmp_path}", DEPLOY / "tmpfiles.conf")
    collected = tmp_path / "var" / "lib" / "fieldguide" / "collected"
    if check.returncode != 0 and not collected.is_dir():
        pytest.skip(f"systemd-tmpfiles makes no folders here: {check.stderr.strip()[:200]}")
    assert collected.stat().st_mode & 0o007 == 0, "pictures of a garden are nobody else's"
    for path in (CollectConfig().path, BundleConfig().path):
        assert Path(path).is_relative_to("/var/lib/fieldguide")
    assert settings(UNIT.read_text())["StateDirectory"] == ["fieldguide"]


# --- settings hold passwords ---------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another group")
def test_settings_that_are_there_are_closed_to_everybody_else(tmp_path: Path) -> None:
    sysusers, tmpfiles = tool("systemd-sysusers"), tool("systemd-tmpfiles")
    path = tmp_path / "etc/fieldguide/fieldguide.toml"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n")
    path.parent.chmod(0o755)
    path.chmod(0o644)
    assert run(sysusers, f"--root={tmp_path}", DEPLOY / "sysusers.conf").returncode == 0
    run(tmpfiles, "--create", f"--root={tmp_path}", DEPLOY / "tmpfiles.conf")
    group = re.search(r"(?m)^fieldguide:[^:]*:(\d+):", (tmp_path / "etc/group").read_text())
    assert group is not None and path.read_text() == "# mine\n"
    for place, mode in ((path.parent, 0o750), (path, 0o640)):
        found = place.stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, 0, int(group[1]))


def test_settings_that_a_deployment_makes_are_closed_from_the_start() -> None:
    tasks = tasks_of("system.yml")
    names = [task["name"] for task in tasks]
    copied = tasks[names.index("Make the settings, if there are none")]["ansible.builtin.copy"]
    assert (copied["mode"], copied["group"]) == ("0640", "fieldguide")
    # Its group is there by then, and no other step opens its folder again.
    assert names.index("Make the service's user") < names.index(
        "Make the settings, if there are none"
    )
    opened = tasks[names.index("Make folders for what follows")]["loop"]
    assert "/etc/fieldguide" not in opened


def test_settings_on_a_card_are_closed_from_the_start(tmp_path: Path) -> None:
    payload._configure(tmp_path)
    modes = {info.name: info.mode for info, _ in map(payload._guarded, archive.of_tree(tmp_path))}
    assert modes["etc/fieldguide/fieldguide.toml"] == 0o640 and modes["etc/fieldguide"] == 0o750
    assert modes["etc/systemd/system/fieldguide.service"] == 0o644


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ("1 label, 0.05 frames/s, camera streaming", True),
        ("1234 labels, 29.9 frames/s, camera streaming", True),
        ("7 labels, 0.1 frames/s, camera ended", True),
        ("0 labels, 0.0 frames/s, camera streaming", False),
        ("0 labels, 0.0 frames/s, camera connecting", False),
        # It worked once, and the camera is gone.
        ("1234 labels, 0.0 frames/s, camera lost: no frame for 5 s", False),
        ("", False),
    ],
)
def test_a_board_is_well_that_gives_labels_however_slowly(status: str, healthy: bool) -> None:
    wait, judge = tasks_of("health.yml")
    for text in (wait["until"], judge["ansible.builtin.assert"]["that"][1]):
        (pattern,) = re.findall(r"is search\('([^']+)'\)", text)
        shown = f"ActiveState=active\nSubState=running\nStatusText={status}\n"
        assert (re.search(pattern, shown) is not None) == healthy


def test_the_service_tells_its_manager_what_a_deployment_looks_for() -> None:
    telemetry = Telemetry()
    telemetry.camera.streams()
    seen = SimpleNamespace(invoke_s=0.01, overhead_s=0.0, latency_s=0.02)
    telemetry.inferred(seen)  # type: ignore[arg-type]
    told = Service._summary(SimpleNamespace(_telemetry=telemetry))  # type: ignore[arg-type]
    (pattern,) = re.findall(r"is search\('([^']+)'\)", tasks_of("health.yml")[0]["until"])
    assert re.search(pattern, f"StatusText={told}"), told


def test_root_on_a_board_imports_nothing_from_where_it_stands() -> None:
    texts = [path.read_text() for path in DEPLOY.rglob("*.yml")]
    texts += [path.read_text() for path in (ROOT / "device/image/recipe").iterdir()]
    calls = [
        line
        for line in "\n".join(texts).splitlines()
        if re.search(r"python3? -", line) and not line.lstrip().startswith("#")
    ]
    assert calls and all(re.search(r"python3? -[IP] ", line) for line in calls), calls


def test_the_service_cannot_read_a_card_s_first_boot_settings() -> None:
    assert settings(UNIT.read_text())["InaccessiblePaths"] == ["-/boot"]


def test_a_stock_system_s_first_boot_fills_the_slots_as_the_service_s_user(tmp_path: Path) -> None:
    """The very line of the script, as another user, in a folder of that user's."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    script = (ROOT / "device/image/recipe/install.sh").read_text().splitlines()
    (line,) = [line for line in script if "/var/lib/fieldguide" in line]
    with tempfile.TemporaryDirectory() as name:
        state, packed = Path(name) / "state", tmp_path / "state.tar"
        Path(name).chmod(0o755)
        (state / "slots").mkdir(parents=True)
        for path in (state, state / "slots"):
            os.chown(path, 65534, 65534)
        files = {"slots/a/labels.txt": "red\n", "slots/a/manifest.json": "{}"}
        links = [archive.link("current", "slots/a")]
        archive.write(packed, [*archive.of_files(files), *links])
        line = line.replace("/var/lib/fieldguide", str(state)).replace("$here", str(tmp_path))
        done = run("sh", "-c", line.replace("-u fieldguide", "-u nobody"))
        assert done.returncode == 0, done.stderr
        assert (state / "current/labels.txt").read_text() == "red\n"
        assert {path.lstat().st_uid for path in state.rglob("*")} == {65534}


def test_a_self_test_that_is_too_large_does_not_end_the_service() -> None:
    assert settings(UNIT.read_text())["OOMPolicy"] == ["continue"]


# --- signed releases ------------------------------------------------------------------------------


def test_who_has_the_network_may_read_nothing_of_the_service() -> None:
    fetches, installs = settings(UPDATE.read_text()), settings(INSTALL.read_text())
    assert fetches["User"] == ["fieldguide-update"] and installs["User"] == ["fieldguide"]
    assert {"-/var/lib/fieldguide", "-/etc/fieldguide"} <= set(
        fetches["InaccessiblePaths"][0].split()
    )
    assert "ReadWritePaths" not in fetches and fetches["ProtectSystem"] == ["strict"]
    assert installs["PrivateNetwork"] == ["yes"]


def test_software_is_judged_by_the_release_before_and_by_root_without_network_or_powers() -> None:
    for unit in map(settings, (SOFTWARE.read_text(), BOOT.read_text())):
        assert unit["ExecStart"][0].startswith("/opt/fieldguide/confirmed/bin/python3 -P ")
        assert unit["User"] == ["root"] and unit["CapabilityBoundingSet"] == [""]
        assert unit["PrivateNetwork"] == ["yes"] and unit["ProtectSystem"] == ["strict"]
        assert unit["ReadWritePaths"] == [str(INSTALLED)]
        assert unit["StateDirectory"] == [SOFTWARE_STATE.name]
        assert unit["RuntimeDirectory"] == [RUN.name]
    restart = settings(SOFTWARE.read_text())["ExecStartPost"][0]
    assert restart.startswith("+") and f"{RUN}/{RESTART} " in restart
    boot = settings(BOOT.read_text())
    assert "fieldguide.service" in boot["Before"][0].split()
    assert boot["ConditionPathExists"] == [f"{INSTALLED}/{MARK}"]


@pytest.mark.parametrize("unit", [UPDATE, INSTALL, SOFTWARE, UNIT], ids=lambda unit: unit.name)
def test_no_unit_is_refused_because_it_was_started_often(unit: Path) -> None:
    """By `fieldguide update now` pressed again and again: its paths would not start it any more."""
    assert settings(unit.read_text())["StartLimitIntervalSec"] == ["0"]


def test_only_the_service_s_user_reads_what_was_fetched_and_says_what_to_fetch(
    tmp_path: Path,
) -> None:
    sysusers = tool("systemd-sysusers")
    (tmp_path / "etc").mkdir()
    result = run(sysusers, f"--root={tmp_path}", DEPLOY / "sysusers.conf")
    assert result.returncode == 0, result.stderr
    groups = (tmp_path / "etc" / "group").read_text()
    assert re.search("(?m)^fieldguide-update:.*:fieldguide$", groups)
    assert not re.search("(?m)^fieldguide:.*fieldguide-update", groups)
    folders = {
        words[1]: (words[2], words[3], words[4])
        for words in map(str.split, (DEPLOY / "tmpfiles.conf").read_text().splitlines())
        if len(words) == 5 and words[0] == "d"
    }
    assert folders[str(FETCHED)] == ("0750", "fieldguide-update", "fieldguide-update")
    # What is written there belongs to the group that reads it.
    assert folders[str(ASKED.parent)] == ("2750", "fieldguide", "fieldguide-update")
    assert Path(UpdateConfig().root).parent == Path("/etc/fieldguide-update")


def test_a_deployment_turns_updates_on_and_leaves_other_settings_as_they_are() -> None:
    tasks = {task["name"]: task for task in tasks_of("updates.yml")}
    edit = tasks["Turn updates on"]["ansible.builtin.replace"]
    made = tasks["Make a section of updates"]["ansible.builtin.blockinfile"]["block"]
    wanted = {"enabled": "true", "url": '"https://a/b"', "name": '"birds"', "group": '"roof"'}
    assert set(wanted) == set(tasks["Turn updates on"]["vars"]["update_wanted"])
    mine = f"[camera]\nfps = 3.0\n{made}[output.json]\nenabled = true\n"
    for text in (mine, sections.EXAMPLE.read_text()):
        for key, value in wanted.items():
            pattern = edit["regexp"].replace("{{ item.key }}", key)
            new = edit["replace"].replace("{{ item.key }}", key).replace("{{ item.value }}", value)
            text, count = re.subn(pattern, new, text)
            assert count == 1
        found = reader.read(Config, tomllib.loads(text))
        update = UpdateConfig(enabled=True, url="https://a/b", name="birds", group="roof")
        assert found.update == update and not found.output.web.enabled
        assert found.output.json.enabled and found.camera.fps in (3.0, 30.0)


def test_deployment_and_card_carry_the_same_units(tmp_path: Path) -> None:
    (play,) = yaml.safe_load((DEPLOY / "deploy.yml").read_text())
    assert tuple(play["vars"]["update_units"]) == payload.UPDATE_UNITS
    payload._configure(tmp_path)
    names = {path.name for path in (tmp_path / "etc/systemd/system").glob("*fieldguide*")}
    assert names == {UNIT.name, *payload.UPDATE_UNITS}
    started = {path.name: path for path in tmp_path.glob("etc/systemd/system/*.wants/*")}
    at_boot = {UNIT.name, BOOT.name}
    assert set(started) == at_boot | {n for n in names if n.endswith((".timer", ".path", ".mount"))}
    for name, link in started.items():
        assert os.readlink(link) == f"/etc/systemd/system/{name}"
        target = settings((DEPLOY / name).read_text())["WantedBy"][0]
        assert link.parent.name == f"{target}.wants"


# --- wheels of a board --------------------------------------------------------------------------


def test_a_lock_is_narrowed_to_the_board_and_not_to_this_machine() -> None:
    lock = (ROOT / "device/locks/device.txt").read_text()
    pins = {}
    for python in ("3.11.2", "3.13.5"):
        text = fetch_wheels.narrowed(lock, fetch_wheels.Board(python, "aarch64", "2.36"))
        pins[python] = dict(line.split()[0].split("==") for line in text.splitlines())
        assert all("--hash=sha256:" in line and ";" not in line for line in text.splitlines())
        assert {"numpy", "pillow", "ai-edge-litert", "av"} <= set(pins[python])
        assert "colorama" not in pins[python], "that is for Windows"
    assert pins["3.11.2"]["numpy"] != pins["3.13.5"]["numpy"]


def test_only_wheels_for_the_board_s_c_library_are_asked_for() -> None:
    tags = fetch_wheels.Board("3.11.2", "aarch64", "2.36").platforms()
    assert tags[0] == "manylinux_2_36_aarch64" and tags[-1] == "manylinux2014_aarch64"
    assert "manylinux_2_17_aarch64" in tags and "manylinux_2_37_aarch64" not in tags


def test_a_wheel_built_again_is_the_same_release(tmp_path: Path) -> None:
    def packed(name: str, year: int, record: str) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("x-1.dist-info/RECORD", (year, 1, 1, 0, 0, 0)), record)
        return path

    first = fetch_wheels.contents(packed("a.whl", 2024, "x.py,sha256=1"))
    assert fetch_wheels.contents(packed("b.whl", 2025, "x.py,sha256=1")) == first
    assert fetch_wheels.contents(packed("c.whl", 2024, "x.py,sha256=2")) != first
