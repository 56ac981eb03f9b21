"""The sink that writes one JSON line per observation and visit, to standard output or a file."""

import json
import os
import sys
from pathlib import Path

from device import files
from device.errors import ConfigError
from device.settings.sections import JsonConfig
from device.telemetry.observation import Observation
from device.telemetry.status import Status

STDOUT = "-"


class JsonLines:
    """Appends lines; each is written whole or not at all.

    A file that was moved away (log rotation) is created again within a second.
    """

    name = "json"
    wants_pictures = False

    def __init__(self, config: JsonConfig) -> None:
        """Take the settings; raises ConfigError if standard output is needed but closed."""
        if config.path == STDOUT and sys.stdout is None:
            raise ConfigError("output.json: standard output is closed; set a path or enabled=false")
        self._only_changes = config.only_changes
        self._path = None if config.path == STDOUT else Path(config.path)
        self._file: int | None = sys.stdout.fileno() if self._path is None else None

    def publish(self, observation: Observation) -> None:
        """Write the observation's line, and that of a visit that has ended with it.

        Raises:
            OSError: if the disk is full or the reader is gone.
        """
        records = [observation.record()] if observation.changed or not self._only_changes else []
        if (ended := observation.ended_visit) is not None:
            records.append(ended.record())
        if not records:
            return
        if self._file is None:
            self._file = self._open()
        files.append(self._file, "".join(json.dumps(r) + "\n" for r in records).encode())

    def tick(self, status: Status) -> None:
        """Close the file if it was moved or removed; the next line creates it again."""
        if self._path is not None and self._file is not None and not self._is_current():
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._path is not None and self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _is_current(self) -> bool:
        assert self._path is not None and self._file is not None
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except FileNotFoundError:
            return False
