"""Promises of moments: what photos say of camera and time, whatever state their Exif is in."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.contract.moments import MAX_EXIF_BYTES, Moment, read
from device.contract.provenance import Provenance

NOON = datetime(2024, 5, 1, 12, 0, 7, tzinfo=UTC).timestamp()
MAKE, MODEL, SOFTWARE, DATE_TIME, DETAILS = 0x010F, 0x0110, 0x0131, 0x0132, 0x8769
ORIGINAL, DIGITIZED, SUB_SECOND, OFFSET, SERIAL = 0x9003, 0x9004, 0x9291, 0x9011, 0xA431


def exif(whole: dict[int, str], details: dict[int, str]) -> Image.Exif:
    made = Image.Exif()
    made.update(whole)
    made.get_ifd(DETAILS).update(details)
    return made


def photo(made: Image.Exif | bytes, kind: str = "JPEG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 12), "green").save(data, kind, exif=made)
    return data.getvalue()


def plain() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 12), "green").save(data, "JPEG")
    return data.getvalue()


def said(details: dict[int, str], **whole: str) -> Moment:
    tags = {"make": MAKE, "model": MODEL, "time": DATE_TIME, "software": SOFTWARE}
    return read(photo(exif({tags[name]: text for name, text in whole.items()}, details)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_camera_and_time_are_read_from_each_format(kind: str) -> None:
    made = exif({MAKE: "Trap", MODEL: "Cam3"}, {ORIGINAL: "2024:05:01 12:00:07"})
    assert read(photo(made, kind)) == Moment("Trap Cam3", seconds=NOON)


def test_heic_photos_of_telephones_say_their_time_too() -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = photo(exif({MODEL: "iPhone"}, {ORIGINAL: "2024:05:01 12:00:07"}), "HEIF")
    assert read(data) == Moment("iPhone", seconds=NOON)


def test_a_serial_number_tells_cameras_of_a_model_apart() -> None:
    found = said({SERIAL: "0042117"}, make="Canon", model="Canon EOS 5D")
    assert found == Moment("Canon EOS 5D no. 0042117", unique=True)


@pytest.mark.parametrize("serial", ["0", "00000000", "none", "N/A", "unknown", "12345678", " "])
def test_what_cameras_write_without_a_serial_number_is_none(serial: str) -> None:
    found = said({SERIAL: serial}, model="Cam")
    assert (found.camera, found.unique) == ("Cam", False)


def test_fractions_of_a_second_and_the_time_zone_count() -> None:
    found = said({ORIGINAL: "2024:05:01 12:00:07", SUB_SECOND: "25", OFFSET: "-03:30"})
    assert (found.seconds, found.offset_s) == (NOON + 0.25, -12600)


def test_times_of_saving_and_of_scanning_are_no_times_of_capture() -> None:
    found = said({DIGITIZED: "2024:05:01 12:00:07"}, time="2024:05:01 12:00:07", software="x")
    assert found.seconds is None and not found.problem


@pytest.mark.parametrize(
    "time", ["2024/05/01 12:00:07", "2024-05-01T12:00:07", "2024: 5: 1 12: 0: 7"]
)
def test_times_are_read_as_cameras_write_them_against_the_standard(time: str) -> None:
    assert said({ORIGINAL: time}).seconds == NOON


@pytest.mark.parametrize("time", ["0000:00:00 00:00:00", "    :  :     :  :  ", ""])
def test_a_camera_that_knows_no_time_says_none(time: str) -> None:
    found = said({ORIGINAL: time}, model="Cam")
    assert found == Moment("Cam")


def test_a_time_that_cannot_be_is_damage() -> None:
    assert said({ORIGINAL: "2024:13:45 99:00:00"}).problem == "damaged"


def test_a_devices_own_record_says_device_and_time() -> None:
    record = Provenance("random", "fox", {}, "2024-05-01T12:00:07.250+00:00", "garden", "", "")
    found = read(photo(record.exif("Fieldguide")))
    assert found == Moment("garden", unique=True, own=True, seconds=NOON + 0.25, offset_s=0)


def test_a_host_name_that_many_boards_have_names_no_camera() -> None:
    record = Provenance("random", "fox", {}, "no time", "raspberrypi", "", "")
    found = read(photo(record.exif("Fieldguide")))
    assert found.own and not found.unique and found.seconds is None


def test_huge_exif_is_passed_over_and_said() -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0" + bytes(MAX_EXIF_BYTES)
    assert read(photo(block, "PNG")).problem == "too large to be read"


@given(st.binary(max_size=400))
def test_whatever_stands_for_exif_is_read_or_said_to_be_damaged(block: bytes) -> None:
    segment = b"Exif\0\0II*\0\x08\0\0\0" + block
    size = (len(segment) + 2).to_bytes(2, "big")
    assert isinstance(read(plain()[:2] + b"\xff\xe1" + size + segment + plain()[2:]), Moment)


@given(st.integers(0, 300), st.integers(0, 255))
def test_any_damaged_byte_is_survived(where: int, value: int) -> None:
    data = bytearray(photo(exif({MODEL: "Cam"}, {ORIGINAL: "2024:05:01 12:00:07"})))
    data[where % len(data)] = value
    assert isinstance(read(bytes(data)), Moment)


def test_a_photo_without_exif_or_no_photo_says_nothing() -> None:
    assert read(plain()) == read(b"") == read(b"\xff\xd8Exif\0\0") == Moment()
