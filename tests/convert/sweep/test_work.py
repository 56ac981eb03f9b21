"""Promises of running trials: at once, one by one, in spite of failures and of being killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convert.sweep import work
from convert.sweep.trial import LOG
from convert.sweep.work import planned, said_error
from device.errors import UsageError
from tests.support.places import ROOT
from tests.support.timing import eventually

QUICK = "%: ; @mkdir -p $(BUILD); echo $(BACKBONE) $(SIZE) $(SHARED) $(MAKEFLAGS) > $(BUILD)/made"
SLOW = "%: ; @echo $$$$ > $(BUILD)/pid; exec sleep 60"


def make(folder: Path, rule: str) -> list[str]:
    """A make that has only this rule."""
    file = folder / "rules.mk"
    file.write_text(f"{rule}\n")
    return ["make", "-f", str(file)]


def ignored(line: str) -> None:
    """Nothing is said."""


def test_each_trial_is_a_build_of_its_own_that_shares_what_lies_beside(tmp_path: Path) -> None:
    sweep = tmp_path / "build" / "sweep"
    plan = planned(["a-1@160", "b@224"], sweep)
    said: list[str] = []
    assert work.run(plan, make(tmp_path, QUICK), 1, said.append) == {"a-1@160": "", "b@224": ""}
    made = [(sweep / name / "made").read_text().split()[:3] for name in ("a-1@160", "b@224")]
    assert made == [["a-1", "160", str(tmp_path / "build")], ["b", "224", str(tmp_path / "build")]]
    assert said == [
        "a-1@160: begins (1 of 2)",
        "a-1@160: trained and verified",
        "b@224: begins (2 of 2)",
        "b@224: trained and verified",
    ]


def test_a_trial_that_fails_says_so_in_one_line_and_stops_no_other(tmp_path: Path) -> None:
    rule = "%: ; @if [ $(SIZE) = 1 ]; then echo 'error: no room' >&2; exit 3; fi"
    plan = planned(["a@1", "a@2"], tmp_path / "sweep")
    errors = work.run(plan, make(tmp_path, rule), 1, ignored)
    assert errors == {"a@1": "no room", "a@2": ""}


def test_several_trials_are_at_work_at_once_but_no_more_than_asked_for(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    # None ends before another has begun, however long a busy machine takes to begin it.
    two_began = "for i in `seq 600`; do [ `ls *.began | wc -l` -ge 2 ] && break; sleep .1; done"
    rule = (
        f"%: ; @cd {sweep}; touch $(SIZE).on $(SIZE).began; {two_began}; "
        "ls *.on | wc -l > $(SIZE).n; sleep .2; rm $(SIZE).on"
    )
    plan = planned([f"a@{size}" for size in range(1, 5)], sweep)
    assert not any(work.run(plan, make(tmp_path, rule), 2, ignored).values())
    assert max(int((sweep / f"{size}.n").read_text()) for size in range(1, 5)) == 2


def test_the_jobs_of_the_make_around_are_not_those_of_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", " -j4 --jobserver-auth=3,4 -- EPOCHS=1 DATA=a\\ b-j2")
    plan = planned(["a@1"], tmp_path / "sweep")
    rule = "%: ; @echo '$(EPOCHS) $(DATA)' > $(BUILD)/made"
    work.run(plan, make(tmp_path, rule), 1, ignored)
    assert (tmp_path / "sweep/a@1/made").read_text() == "1 a b-j2\n"
    assert "warning" not in (tmp_path / "sweep/a@1" / LOG).read_text()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children")
def test_a_sweep_that_is_killed_leaves_no_trial_at_work(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from convert.sweep import work\n"
        f"plan = work.planned(['a@1', 'a@2'], Path({str(tmp_path / 'sweep')!r}))\n"
        f"work.run(plan, {make(tmp_path, SLOW)!r}, 2, print)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as sweep:
        files = [tmp_path / "sweep" / name / "pid" for name in ("a@1", "a@2")]
        eventually(lambda: all(file.exists() and file.read_text().strip() for file in files))
        pids = [int(file.read_text()) for file in files]
        assert all(map(runs, pids))
        sweep.kill()
    eventually(lambda: not any(map(runs, pids)))


def test_ctrl_c_ends_the_trials(tmp_path: Path) -> None:
    plan = planned(["a@1"], tmp_path / "sweep")
    file = tmp_path / "sweep" / "a@1" / "pid"

    def interrupt(_line: str) -> None:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 1)

    before = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(KeyboardInterrupt):
            work.run(plan, make(tmp_path, SLOW), 1, interrupt)
    finally:
        signal.signal(signal.SIGALRM, before)
    eventually(lambda: not runs(int(file.read_text())))


def test_no_two_sweeps_work_in_one_folder(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match="another sweep is at work in")
    with work.alone(tmp_path), refused, work.alone(tmp_path):
        raise AssertionError("both at work")
    with work.alone(tmp_path):
        pass


@pytest.mark.parametrize("name", ["mobilenet-v2", "@224", "a@", "a@big", "a@-1"])
def test_what_is_no_trial_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"give BACKBONE@SIZE"):
        planned([name], tmp_path)


def test_a_sweep_of_nothing_is_refused_and_a_name_counts_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no trial is named"):
        planned([], tmp_path)
    assert len(planned(["a@1", "a@1"], tmp_path)) == 1


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("fine\nerror: first\nerror: no room\nmake: *** [Makefile:1: x] Error 3\n", "no room"),
        ("Traceback (most recent call last):\n  a\nMemoryError\nmake: *** [M:1: x] Error 1\n",
         "MemoryError"),
        ("epoch 3\nmake[1]: *** [Makefile:231: build/a] Killed\n", "Killed"),
        ("it stopped\n", "it stopped"),
        ("", "it ended without a word"),
        (f"error: {'x' * 400}\n", f"{'x' * 297}..."),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure_is_found_in_what_was_said(
    log: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / LOG).write_text(log)
    assert said_error(tmp_path) == reason
