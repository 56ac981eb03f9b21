"""A deployment and releases of the software leave each other's work alone."""

import re
from pathlib import Path

from device.update.asked import DEPLOYING
from device.update.asked import SOFTWARE as SOFTWARE_STATE
from device.update.lock import alone
from tests.device.deploy.playbooks import run, tasks_of


def shell_of(tasks: str, task: str, root: Path) -> str:
    """What a task runs, in folders of a test, about a release with the name "one"."""
    (found,) = [each for each in tasks_of(tasks) if each["name"] == task]
    text: str = re.sub(r"\{\{.*?\}\}", "one", found["ansible.builtin.shell"])
    return re.sub(r"/(opt|var|run)/", rf"{root}/\1/", text)


def test_a_deployment_says_what_it_prepares_before_it_looks_and_until_it_is_over(
    tmp_path: Path,
) -> None:
    names = [task["name"] for task in tasks_of("look.yml")]
    says = "Say which release is prepared"
    assert names.index(says) < names.index("Check whether the release exists")
    for tasks in ("tidy.yml", "back.yml"):
        (ends,) = [each for each in tasks_of(tasks) if each["name"] == "Prepare nothing any more"]
        assert ends["ansible.builtin.file"] == {"path": str(DEPLOYING), "state": "absent"}
    command, told = shell_of("look.yml", says, tmp_path), tmp_path / DEPLOYING.relative_to("/")
    told.parent.mkdir()
    # A new board has no releases, and nothing that would remove one.
    assert run("sh", "-c", command).returncode == 0 and not told.exists()
    (tmp_path / "opt/fieldguide/releases").mkdir(parents=True)
    with alone(tmp_path / "opt/fieldguide/releases"):
        assert run("sh", "-c", command.replace("-w 60", "-w 0")).returncode != 0
    assert run("sh", "-c", command).returncode == 0 and told.read_text() == "one\n"


def test_a_deployment_removes_no_release_while_software_is_installed(tmp_path: Path) -> None:
    command = shell_of("tidy.yml", "Remove older releases", tmp_path)
    release = tmp_path / "opt/fieldguide/releases/one"
    release.mkdir(parents=True)
    passes = tmp_path / SOFTWARE_STATE.relative_to("/")
    passes.mkdir(parents=True)
    with alone(passes):
        assert run("sh", "-c", command).returncode == 0 and release.exists()
    assert run("sh", "-c", command).returncode == 0 and not list(release.parent.iterdir())
    # A board that never installed software.
    passes.rmdir()
    release.mkdir()
    assert run("sh", "-c", command).returncode == 0 and not list(release.parent.iterdir())
