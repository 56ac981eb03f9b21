"""Promises of films: names that count frames are told from all the other numbers in names."""

import pytest

from device.workstation.events.films import films, next_numbers


def found(*paths: str) -> list[list[str]]:
    return [[paths[i] for i in film.members] for film in films(paths)]


@pytest.mark.parametrize(
    "names",
    [
        ["frame_0001", "frame_0002", "frame_0010"],
        ["frame1", "frame2"],
        ["vid_00001", "vid_00002"],
        ["pond-video-0001", "pond-video-0026"],
        ["out-001", "out-002"],
        ["scene00001", "scene00026"],
        ["clip3_frame_000123", "clip3_frame_000153"],
        ["p3_e012_0", "p3_e012_1", "p3_e012_5"],
        ["vid-12 (1)", "vid-12 (3)"],
        ["VID_20240501_123456_001", "VID_20240501_123456_002"],
        ["IMG_20240501_123456_1", "IMG_20240501_123456_2"],
        ["00000IMG_00000_BURST20191228120054", "00001IMG_00001_BURST20191228120054"],
        ["DSC_0001_frame12", "DSC_0001_frame13"],
        ["cam1_vid3_001", "cam1_vid3_002"],
        ["obj12__0", "obj12__5", "obj12__10", "obj12__25"],
    ],
)
def test_frames_of_one_film_are_found(names: list[str]) -> None:
    paths = [f"fox/{name}.jpg" for name in names]
    assert found(*paths) == [paths]


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_0001", "IMG_0002", "IMG_9999"],
        ["DSC00012", "DSC00013"],
        ["0001", "0002", "0003"],
        ["fox_001", "fox_002", "fox_400"],
        ["fox (1)", "fox (2)"],
        ["images", "images (1)", "download (1)", "download (2)"],
        ["n02085620_10074", "n02085620_1052", "n02085620_477"],
        ["Abyssinian_1", "Abyssinian_2"],
        ["cat.0", "cat.1"],
        ["clip_1", "clip_2"],
        ["MOV_0012", "MOV_0013"],
        ["10090824183_d02c613f10", "10090824184_d02c613f11"],
        ["2345_d02c613f_m", "2346_d02c613f_m"],
        ["Black_Footed_Albatross_0046_18", "Black_Footed_Albatross_0001_796111"],
        ["IMG_20240501_123456", "IMG_20240501_123457"],
        ["PXL_20240501_123456789", "PXL_20240501_123457789"],
        ["20240501_123456", "20240501_123457"],
        ["IMG-20240501-WA0003", "IMG-20240501-WA0004"],
        ["WhatsApp Image 2024-05-01 at 12.30.45", "WhatsApp Image 2024-05-01 at 12.30.46"],
        ["2024-05-01_001", "2024-05-01_002"],
        ["100_0001", "100_0002"],
        ["001_0001", "001_0002"],
        ["P1010001", "P1010002"],
        ["cam1_0001", "cam1_0002"],
        ["day3-1", "day3-2"],
        ["20240501T123456.789Z-abcdef12", "20240501T123456.790Z-abcdef13"],
        ["0a5e9323-dbad-432d-ac58-d291718345d9", "1b5e9323-dbad-432d-ac58-d29171834571"],
    ],
)
def test_other_numbers_in_names_are_no_frames(names: list[str]) -> None:
    assert not found(*(f"fox/{name}.jpg" for name in names))


def test_a_film_whose_frames_were_sorted_into_classes_is_one() -> None:
    paths = ["fox/clip3_001.jpg", "none/clip3_002.jpg", "fox/clip3_003.jpg"]
    assert found(*paths) == [paths]


def test_films_of_one_name_in_two_folders_are_two() -> None:
    first = ["fox/p3_e012_0.jpg", "fox/p3_e012_1.jpg"]
    second = ["owl/p3_e012_0.jpg", "owl/p3_e012_1.jpg"]
    assert found(*first, *second) == [first, second]
    first = ["fox/frame_1.jpg", "fox/frame_2.jpg"]
    second = ["owl/frame_3.jpg", "owl/frame_4.jpg"]
    assert found(*first, *second) == [first, second]


def test_films_with_names_of_one_kind_are_a_family() -> None:
    paths = [
        f"fox/p{place}_e01{event}_{n}.jpg" for place in (1, 2) for event in (3, 4) for n in (1, 2)
    ]
    assert [film.family for film in films(paths)] == ["p#_e#"] * 4


def test_numbers_follow_one_another_in_one_folder_and_under_one_name() -> None:
    paths = ["fox/IMG_9.jpg", "fox/IMG_0010.jpg", "owl/IMG_0011.jpg", "fox/DSC_11.jpg", "fox/x.jpg"]
    paths += ["fox/IMG_12.jpg", "fox/7-b.jpg", "fox/8-b.jpg", "fox/9-a.jpg"]
    assert next_numbers(paths) == [(6, 7), (0, 1)]
