"""Promises of what the command lines say of themselves."""

import re
from importlib import import_module

import pytest

TERMINAL_COLUMNS = 80


@pytest.mark.parametrize("module", ["train", "convert", "device", "device.fleet"])
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


@pytest.mark.parametrize(
    ("module", "words", "named"),
    [
        ("train", ("data", "--seed=x"), "--seed: invalid int value: 'x'"),
        ("train", ("fit", "--backbone=resnet"), "--backbone: invalid choice: 'resnet'"),
        ("train", (), "COMMAND"),
        ("convert", ("export", "--calibration-photos=many"), "--calibration-photos"),
        ("convert", ("pack",), "'pack'"),
        ("device", ("run", "--frames=\x1b[1m\nx"), "--frames"),
        ("device", ("doctor", "--surprise"), "--surprise"),
    ],
)
def test_words_that_a_command_line_cannot_take_are_one_clear_line(
    module: str, words: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        import_module(f"{module}.__main__").main([*words])
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert not out and line.startswith("error: ") and named in line and line.isprintable()
    assert f"; see python -m {module}" in line and line.endswith(" --help")
