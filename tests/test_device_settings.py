"""What `fieldguide.toml` promises: every setting documented, every mistake one clear line."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import config, settings
from device.config import EXAMPLE, Config
from device.errors import ConfigError

NAMES = list(settings.names(Config))


def read(text: str) -> Config:
    return settings.read(Config, tomllib.loads(text))


def test_the_example_says_the_defaults() -> None:
    assert config.load(EXAMPLE) == Config()


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
        config.load(path)
    assert "\n" not in str(error.value)


def test_a_region_inside_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text("[camera]\nregion = [0.5, 0.0, 0.4, 1.0]")
    with pytest.raises(ConfigError, match="left < right"):
        config.load(path)


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
        config.load(path)


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
        config.load(path)
    path.write_text(text.replace("true", "false"))
    config.load(path)


KEYS = sorted({name.split(".")[-1] for name in NAMES} | {"json", ""})
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(st.sampled_from(KEYS), scalars)
sections = st.sampled_from(["bundle", "camera", "inference", "smoothing", "output", "x"])


@given(st.dictionaries(sections, st.dictionaries(st.sampled_from(KEYS), values, max_size=3)))
def test_any_table_is_read_or_refused_in_one_line(table: dict[str, object]) -> None:
    try:
        assert isinstance(settings.read(Config, table), Config)
    except ConfigError as error:
        assert "\n" not in str(error)
