"""Ansible's output as one line for each change and each failure of a board."""

import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: fieldguide
type: stdout
short_description: one line for each change and each failure
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Prints "BOARD: what was done" on stdout and failures on stderr."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "fieldguide"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print changes, and messages of the playbook itself."""
        board, data = result.host.get_name(), result.result
        if result.task.action.endswith("debug"):
            print(f"{board}: {data['msg']}", flush=True)
        elif data.get("changed"):
            print(f"{board}: {result.task.get_name().strip()}", flush=True)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the reason in one line."""
        if ignore_errors:
            return
        board, task = result.host.get_name(), result.task
        prefix = "" if task.action.endswith(("fail", "assert")) else f"{task.get_name().strip()}: "
        print(f"error: {board}: {prefix}{reason(result.result)}", file=sys.stderr, flush=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print the error from ssh."""
        said = reason(result.result).removeprefix("Task failed: ")
        hint = "is it on, and does `ssh` to it work?"
        print(f"error: {result.host.get_name()}: {said}; {hint}", file=sys.stderr, flush=True)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Fail if the inventory is empty; Ansible itself would report success."""
        sys.exit("error: no board in the inventory: name some in HOSTS")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print one line for each board that the play reached."""
        for board in sorted(stats.processed):
            count = stats.summarize(board)
            bad = count["failures"] or count["unreachable"]
            print(f"{board}: {'FAILED' if bad else 'ok'}, changed={count['changed']}", flush=True)


def reason(data: dict[str, Any]) -> str:
    """The last line of a program's error output, or the module's message, on one line."""
    said = str(data.get("stderr") or data.get("module_stderr") or "").strip().splitlines()
    text = said[-1] if said else str(data.get("msg", data))
    return " ".join(text.split()).removeprefix("error: ")
