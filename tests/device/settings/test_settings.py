"""What `fieldguide.toml` promises: every setting documented, every mistake one clear line."""

import errno
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigError
from device.settings import reader, sections
from device.settings.sections import EXAMPLE, Config

NAMES = list(reader.names(Config))


def read(text: str) -> Config:
    return reader.read(Config, tomllib.loads(text))


def test_the_example_says_the_defaults() -> None:
    assert sections.load(EXAMPLE) == Config()


def test_the_example_explains_every_setting() -> None:
    section, explained, above = "", set(), ""
    for line in EXAMPLE.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in (line if above.startswith("#") else "") or line.startswith("# threshold ="):
            explained.add(f"{section}.{line.lstrip('# ').partition('=')[0].strip()}")
        above = line if line.startswith("#") or not line else above
    assert explained >= set(NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[camera]\nsorce = 'auto'", "camera.sorce: no such setting; did you mean 'source'?"),
        ("[cammera]\nsource = 'auto'", "cammera: no such setting; did you mean 'camera'?"),
        ("[output.jason]\nenabled = true", "output.jason: no such setting; did you mean 'json'?"),
        ("[output.json]\nzzz = 1", "in [output.json]; it has enabled, path, only_changes"),
        ("zzz = 1", "no such setting in the file; it has bundle, camera"),
        ("[camera]\nwidth_px = '640'", "camera.width_px='640': write a whole number"),
        ("[camera]\nwidth_px = 640.5", "camera.width_px=640.5: write a whole number"),
        ("[camera]\nwidth_px = true", "camera.width_px=True: write a whole number"),
        ("[camera]\nwidth_px = 9999", "camera.width_px=9999: must be 16 to 8192"),
        ("[camera]\nfps = nan", "camera.fps=nan: must be 0.1 to 1000"),
        ("[camera]\nregion = [0, 0, 1]", "camera.region=[0, 0, 1]: write 4 values"),
        ("[camera]\nregion = 1", "camera.region=1: write a list"),
        ("[camera]\nregion = [0, 0, 1, 2]", "camera.region[3]=2.0: must be 0 to 1"),
        ("[inference]\nruntime = 'tensorflow'", "choose auto, edgetpu, ai-edge-litert"),
        ("[smoothing]\nthreshold = 1.5", "smoothing.threshold=1.5: must be 0 to 1"),
        ("camera = 3", "camera is a section: write [camera]"),
        ("[output.json]\nenabled = 1", "output.json.enabled=1: write true or false"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(text)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_whole_numbers_do_where_numbers_are_wanted() -> None:
    assert read("[camera]\nfps = 15").camera.fps == 15.0
    assert read("[smoothing]\nthreshold = 0").smoothing.threshold == 0.0


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[camera", b"a = 1\na = 2", b"[" * 100_000])
def test_a_file_that_is_no_toml_is_one_line_with_its_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"fieldguide\.toml") as error:
        sections.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_settings_that_a_windows_editor_saved_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_bytes("[camera]\r\nsource = '/dev/ü'\r\n".encode(encoding))
    assert sections.load(path).camera.source == "/dev/ü"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", "save it as UTF-8"),
        ("utf-16-le", "save it as UTF-8"),
        ("utf-32", "save it as UTF-8"),
        ("latin-1", "line 2: a character that is not UTF-8"),
        ("cp1252", "line 2: a character that is not UTF-8"),
    ],
)
def test_settings_in_another_alphabet_say_how_to_save_them(
    encoding: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_bytes("[camera]\nsource = '/dev/ü'\n".encode(encoding))
    with pytest.raises(ConfigError, match=words) as error:
        sections.load(path)
    assert error.value.exit_status == 2 and "ü" not in str(error.value)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ENFILE])
def test_settings_that_cannot_be_read_just_now_are_no_wrong_settings(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manager starts the service again then; status 2 would keep it down."""

    def fail(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(ConfigError, match=os.strerror(number)) as error:
        sections.load(tmp_path / "fieldguide.toml")
    assert error.value.exit_status == 1


def test_a_folder_in_place_of_settings_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name the settings file") as error:
        sections.load(tmp_path)
    assert error.value.exit_status == 2


@pytest.mark.parametrize(
    "text",
    [
        "[output.mqtt]\npassword = 3141592",
        "[output.mqtt]\npassword = ['3141592']",
        "[output.web]\ntoken = 3141592",
        "[output.prometheus]\ntoken = 31415.92",
        "[camera]\nsource = ['rtsp://pi:3141592@garden/']",
    ],
)
def test_a_mistake_in_a_secret_does_not_show_it(text: str) -> None:
    with pytest.raises(ConfigError, match='write text in "quotes"') as error:
        read(text)
    assert "31415" not in str(error.value)


def test_a_camera_is_asked_for_no_more_than_memory_has_room_for(tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text("[camera]\nwidth_px = 4096\nheight_px = 2160")
    assert sections.load(path).camera.width_px == 4096
    path.write_text("[camera]\nwidth_px = 8192\nheight_px = 8192")
    with pytest.raises(ConfigError, match=r"camera\.width_px=8192.*at most 8,847,360 pixels"):
        sections.load(path)


def test_a_region_inside_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text("[camera]\nregion = [0.5, 0.0, 0.4, 1.0]")
    with pytest.raises(ConfigError, match="left must be below right"):
        sections.load(path)


@pytest.mark.parametrize(
    ("section", "key"),
    [("bundle", "path"), ("camera", "source"), ("output.json", "path"), ("output.collect", "path")],
)
def test_an_empty_place_is_refused_and_not_taken_for_the_present_folder(
    section: str, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text(f'[{section}]\n{key} = ""')
    with pytest.raises(ConfigError, match=f"{section}.{key} must not be empty"):
        sections.load(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[output.web]\nenabled = true\naddress = "0.0.0.0"', "set output.web.token"),
        ('[output.prometheus]\nenabled = true\naddress = "::"', "set output.prometheus.token"),
        ('[output.prometheus]\nenabled = true\naddress = "here"', "write an IP address"),
        ('[output.mqtt]\nenabled = true\nhost = ""', "host and topic_prefix"),
    ],
)
def test_outputs_are_checked_where_the_file_is_read_and_only_if_they_are_on(
    text: str, words: str, tmp_path: Path
) -> None:
    """So that `doctor` knows what the service would end with."""
    path = tmp_path / "fieldguide.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"fieldguide\.toml: output\..*{words}"):
        sections.load(path)
    path.write_text(text.replace("true", "false"))
    sections.load(path)


KEYS = sorted({name.split(".")[-1] for name in NAMES} | {"json", ""})
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(st.sampled_from(KEYS), scalars)
some_section = st.sampled_from(["bundle", "camera", "inference", "smoothing", "output", "x"])


@given(st.dictionaries(some_section, st.dictionaries(st.sampled_from(KEYS), values, max_size=3)))
def test_any_table_is_read_or_refused_in_one_line(table: dict[str, object]) -> None:
    try:
        assert isinstance(reader.read(Config, table), Config)
    except ConfigError as error:
        assert "\n" not in str(error)
