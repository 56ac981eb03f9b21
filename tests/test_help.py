"""Promises of what the command lines say of themselves."""

import re
from importlib import import_module

import pytest

TERMINAL_COLUMNS = 80


@pytest.mark.parametrize("module", ["train", "convert", "device"])
def test_help_fits_a_terminal(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(TERMINAL_COLUMNS))

    def said(*words: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            import_module(f"{module}.__main__").main([*words, "--help"])
        return capsys.readouterr().out

    of_module = said()
    commands = re.findall(r"^    ([a-z]+)\b", of_module, re.MULTILINE)
    assert len(commands) > 3
    lines = [line for text in (of_module, *map(said, commands)) for line in text.splitlines()]
    assert [line for line in lines if len(line) > TERMINAL_COLUMNS] == []
