"""What a cluster keeps of work until it is done, on a path or at an address that all nodes share.

    KEY/task.pickle       the task
    KEY/items/0000012     some of the items, each part on one worker at a time
    KEY/done/000000345    the results of a chunk of items
    KEY/begun/...         an empty file for each time that a worker begins a part

A chunk is there as a whole or not at all, so whoever does not find it computes it. Pickled: what
comes out is what went in, to the bit, and whoever may write here can run code on the cluster, too.
"""

import os
import pickle
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

TASK, ITEMS, DONE, BEGUN = "task.pickle", "items", "done", "begun"


@dataclass(frozen=True)
class Kept:
    """The files of one work."""

    address: str
    """A folder, or what fsspec takes, such as s3://bucket/folder."""
    key: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """A file system and the path of the work's folder on it."""
        import fsspec

        files, root = fsspec.core.url_to_fs(self.address)
        return files, f"{root.rstrip('/')}/{self.key}"

    def __reduce__(self) -> "tuple[type[Kept], tuple[str, str]]":
        # A file system keeps connections.
        return Kept, (self.address, self.key)

    def write_task(self, task: Any) -> None:
        """Keep the task, and what goes with it."""
        self._write(TASK, pickle.dumps(task, pickle.HIGHEST_PROTOCOL))

    def task(self) -> Any:
        """What was kept; raises OSError if the folder cannot be read here."""
        return pickle.loads(self._read(TASK))

    def write_items(self, part: int, items: Sequence[Any]) -> None:
        """Keep the items of one part."""
        self._write(f"{ITEMS}/{part:07}", pickle.dumps(items, pickle.HIGHEST_PROTOCOL))

    def items(self, part: int) -> Sequence[Any]:
        """The items of one part."""
        items: Sequence[Any] = pickle.loads(self._read(f"{ITEMS}/{part:07}"))
        return items

    def write_done(self, chunk: int, results: bytes) -> None:
        """Keep the results of a chunk, from `packed`."""
        self._write(f"{DONE}/{chunk:09}", results)

    def results(self, chunk: int) -> Sequence[Any]:
        """The results of a chunk; raises OSError if they are not there."""
        results: Sequence[Any] = pickle.loads(self._read(f"{DONE}/{chunk:09}"))
        return results

    def begin(self, part: int) -> int:
        """Note that a worker begins with a part; gives how many have, with this one."""
        self._write(f"{BEGUN}/{part:07}-{uuid.uuid4().hex}", b"")
        files, root = self._place
        return len(files.glob(f"{root}/{BEGUN}/{part:07}-*"))

    def forget_begun(self) -> None:
        """Forget what workers noted in an earlier run."""
        files, root = self._place
        with suppress(FileNotFoundError):
            files.rm(f"{root}/{BEGUN}", recursive=True)

    def is_done(self, chunk: int) -> bool:
        """Whether the results of a chunk are there."""
        files, root = self._place
        return bool(files.exists(f"{root}/{DONE}/{chunk:09}"))

    def done(self) -> set[int]:
        """The chunks whose results are there."""
        return set(self._numbers(DONE))

    def remove(self) -> None:
        """Remove everything."""
        files, root = self._place
        with suppress(FileNotFoundError):
            files.rm(root, recursive=True)

    def _numbers(self, folder: str) -> Iterator[int]:
        files, root = self._place
        files.invalidate_cache()
        with suppress(FileNotFoundError):
            for path in files.ls(f"{root}/{folder}", detail=False):
                name = path.rpartition("/")[2]
                if name.isdecimal():
                    yield int(name)

    def _read(self, name: str) -> bytes:
        files, root = self._place
        data: bytes = files.cat_file(f"{root}/{name}")
        return data

    def _write(self, name: str, data: bytes) -> None:
        files, root = self._place
        path = f"{root}/{name}"
        if "file" not in files.protocol:
            # Buckets show a file when all of it is there.
            files.pipe_file(path, data)
            return
        # Two workers may write the same chunk, if one of them counts as lost.
        part = Path(f"{path}.{uuid.uuid4().hex}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def packed(results: Sequence[Any]) -> bytes:
    """Results of a chunk, as they are kept."""
    return pickle.dumps(results, pickle.HIGHEST_PROTOCOL)
