"""The one rule for class names: every ordinary spelling is one, and no two look alike."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.names import MAX_NAME_BYTES, look_alike_key, look_alikes, name_problem, settled

ORDINARY = [
    "rose",
    "Rosa canina (wild)",
    "O'Neil's finch",
    "O’Neil’s finch",
    "Rosa sp.",
    "Salix × fragilis",
    "n01440764 tench, Tinca tinca",
    "50% moss & stone; 3:1 | $5 ~ #2 + a=b!",
    "«Fleur» d’été",
    "Gänseblümchen",
    "Straße",
    "мать-и-мачеха",
    "Ρόδο",
    "ورد جوري",
    "گل‌های سرخ",
    "שושנה",
    "ハルジオン・白",
    "バラ\u3000赤",
    "蒲公英（白）",
    "गेंदा",
    "മന്ദാരം",
    "ดาวเรือง",
    "🌻",
    "👩‍🌾",
]
NO_NAMES = ["", " ", " a", "a ", ".", "..", ".x", "_review", "-x", "a/b", "/etc", "a\\b"]
HIDDEN = ["a\nb", "a\tb", "a\0", "\x1b[31m", "a\u202eb", "a\u2066b", "a\u2028b", "\udcff"]


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_ordinary_spellings_of_all_scripts_are_class_names(
    name: str, form: str, tmp_path: Path
) -> None:
    spelled = unicodedata.normalize(form, name)  # type: ignore[arg-type]
    assert name_problem(spelled) == ""
    (tmp_path / spelled).mkdir()
    assert os.listdir(tmp_path) == [spelled]


@pytest.mark.parametrize("name", [*NO_NAMES, *HIDDEN])
def test_what_no_folder_or_line_can_be_is_none(name: str) -> None:
    assert name_problem(name)


def test_a_name_is_as_long_as_a_file_system_takes() -> None:
    assert not name_problem("x" * MAX_NAME_BYTES) and name_problem("x" * (MAX_NAME_BYTES + 1))
    assert not name_problem("ж" * (MAX_NAME_BYTES // 2))
    assert name_problem("ж" * (MAX_NAME_BYTES // 2 + 1))


@pytest.mark.parametrize(("letters", "problem"), [(64, ""), (67, "is longer than 200 bytes")])
def test_letters_of_several_bytes_count_as_what_a_file_system_counts(
    letters: int, problem: str
) -> None:
    assert name_problem("菊" * letters) == problem


@given(st.text(max_size=250))
def test_every_name_that_passes_is_one_folder_and_one_line(name: str) -> None:
    if not name_problem(name):
        assert Path("/a", name).parent == Path("/a") and name not in (".", "..")
        assert name.splitlines() == [name] and name.encode().decode() == name


@given(st.text(max_size=60))
def test_composition_spaces_and_invisible_signs_make_no_other_class(name: str) -> None:
    key = look_alike_key(name)
    assert look_alike_key(key) == key
    assert look_alike_key(unicodedata.normalize("NFD", name)) == key
    assert look_alike_key(f" {name}\u200e ") == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rose", "rose"),
        ("G\u00e4nse", "Ga\u0308nse"),
        ("moss  rose", "moss rose"),
        ("moss\u00a0rose", "moss rose"),
        ("rose\u200f", "rose"),
        ("РОЗА", "роза"),
        ("Rosa sp.", "Rosa sp"),
        ("rose\u200d", "rose"),
        ("ro\u200cse", "rose"),
        ("ｒｏｓｅ", "rose"),
        ("ﾊﾞﾗ", "バラ"),
    ],
)
def test_names_that_look_alike_are_found(one: str, other: str) -> None:
    assert look_alikes([one, "other", other]) == [tuple(sorted((one, other)))]


@pytest.mark.parametrize(
    ("one", "other"), [("Masse", "Maße"), ("rose", "rosé"), ("l", "1"), ("گل‌های", "گلهای")]
)
def test_other_words_are_other_classes(one: str, other: str) -> None:
    assert look_alikes([one, other]) == []


def test_a_name_is_spelled_as_it_is_already() -> None:
    assert settled("ROSE", ["daisy", "Rose"]) == "Rose"
    assert settled("rose", ["Rose", "rose"]) == "rose"
    assert settled("ROSE", ["Rose", "rose"]) == "Rose"
    assert settled("Ga\u0308nse", []) == "G\u00e4nse"
    assert settled("Ga\u0308nse", ["Ga\u0308nse"]) == "Ga\u0308nse"
