"""Addresses promise: photos from a real server, no secret shown or stored, and one line if not."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from device.workstation.shards import stores
from device.workstation.shards.stores import StoreError, check_address, is_address, listing
from device.workstation.training import SPLIT
from tests.support.cli import PROCESS_LIMIT_S, only_error
from tests.support.peers import shard_readers
from tests.support.places import ROOT
from tests.train.data.shards.making import album, of_ours, write_folder, write_parquet, write_tar
from train.__main__ import main
from train.stamps import films_digest, photos_digest

SECRET = "wJalrXUtnFEMI"
WITH_SECRETS = (
    f"s3://AKIDEXAMPLE:{SECRET}@bucket/birds",
    f"s3://AKIDEXAMPLE:{SECRET}/K7@bucket/birds",
    f"s3://{SECRET}@bucket/birds",
    f"s3://bucket:{SECRET}/birds",
    f"s3://user:12/{SECRET}@bucket/birds",
    f"https://host/birds.tar?X-Amz-Signature={SECRET}",
    f"gs://bucket/birds#{SECRET}",
)


@pytest.mark.parametrize("address", WITH_SECRETS)
def test_an_address_with_a_secret_is_refused_and_not_repeated(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "--data", address, "--out", str(tmp_path)]) == 1
    error = only_error(capsys.readouterr().err)
    assert "must hold no user, password, token or query" in error and SECRET not in error
    assert not [*tmp_path.iterdir()]
    # make looks first; nothing is kept, not even a digest.
    assert photos_digest(address) == photos_digest(WITH_SECRETS[0])


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/birds", "s3://bucket/a@b/c", "memory://x", "https://host:8080/birds.tar"],
)
def test_an_address_without_a_secret_is_taken(address: str) -> None:
    assert is_address(address)
    check_address(address)


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("foo://x", r"^DATA=foo://...: no such protocol; give one of s3://.*, memory://$"),
        ("foo://me:secret@x", r"^DATA=foo://...: no such"),
        ("s3://", r"^DATA=s3://: name what to read there, such as s3://birds/photos$"),
        ("GS:///", r"^DATA=GS:///: name what to read there"),
    ],
)
def test_an_address_that_nothing_reads_is_one_line_before_anything_is_to_be_installed(
    address: str, said: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        shard_readers.lend(monkeypatch)
    else:
        monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StoreError, match=said):
        listing(address)


@pytest.mark.parametrize("path", ["birds", "/data/birds", "~/birds", "./a:b", "C:\\birds", "a:/b"])
def test_a_path_is_no_address(path: str) -> None:
    assert not is_address(path)


PACKAGES = [("s3://b/x", "s3fs"), ("gs://b/x", "gcsfs"), ("abfs://b/x", "adlfs")]


@pytest.mark.parametrize(("address", "package"), PACKAGES)
def test_a_missing_package_is_named(
    address: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard_readers.lend(monkeypatch)
    for name in ("s3fs", "gcsfs", "adlfs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StoreError, match=rf"{address}: install {package} .*pip install {package}$"):
        listing(address)


@pytest.mark.parametrize(("address", "package"), [*PACKAGES, ("memory://b/x", "fsspec")])
def test_without_fsspec_what_brings_it_is_named(
    address: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StoreError, match=rf"{address}: install {package} .*pip install {package}$"):
        listing(address)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError("Access Denied"), "Access Denied: give credentials .*AWS_ACCESS_KEY_ID"),
        (
            RuntimeError("Unable to locate\ncredentials"),
            "Unable to locate credentials: give credentials",
        ),
        (FileNotFoundError("x"), "no such bucket, folder or file"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_what_a_store_raises_becomes_one_line(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(address: str) -> None:
        raise error

    monkeypatch.setattr(stores, "_system", fails)
    with pytest.raises(StoreError, match=f"^s3://b/x: {said}"):
        listing("s3://b/x")
    with pytest.raises(StoreError, match=f"^s3://b/x: {said}"):
        stores.read_range("s3://b/x", 0, 9)


@pytest.mark.parametrize("form", ["a folder", "one shard", "an address"])
def test_make_notices_every_change_of_shards_without_reading_them(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shards"
    single = write_tar(folder / "0.tar", album())
    data = {"a folder": str(folder), "one shard": str(single), "an address": folder.as_uri()}[form]
    if form == "an address":
        shard_readers.lend(monkeypatch)
    before = photos_digest(data)
    assert photos_digest(data) == before
    os.utime(single, ns=(1, time.time_ns()))
    changed = photos_digest(data)
    assert changed != before
    if form != "one shard":
        write_tar(folder / "more.tar", {})
        assert photos_digest(data) != changed


def test_make_notices_that_the_index_is_gone(tmp_path: Path) -> None:
    data = write_tar(tmp_path / "a.tar", album())
    assert main(["data", "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    before = films_digest(str(tmp_path / "out" / "films"))
    (tmp_path / "out" / "shards.sqlite").unlink()
    assert films_digest(str(tmp_path / "out" / "films")) != before


# --- a real server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that speaks as S3 does, for as long as these tests run."""
    packages = shard_readers.packages()
    code = (
        f"import sys; sys.path.append({str(packages)!r}); from moto.server import "
        "ThreadedMotoServer; s = ThreadedMotoServer(ip_address='127.0.0.1', port=0); s.start(); "
        "print('port', s.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            said = next(line for line in process.stdout if line.startswith("port "))
            yield f"http://127.0.0.1:{said.split()[1]}"
        finally:
            process.terminate()


def put(server: str, bucket: str, folder: Path) -> None:
    """Copy a folder into a new bucket."""
    requests = [(bucket, b"")] + [
        (f"{bucket}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    for name, data in requests:
        where = f"{server}/{quote(name)}"
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(where, data, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=20):
            pass


def run(server: str, *arguments: str, key: str = "testing") -> subprocess.CompletedProcess[str]:
    """`python -m train`, with s3fs behind its own packages."""
    code = (
        f"import sys; sys.path.append({str(shard_readers.packages())!r}); "
        "from train.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    about = {"AWS_ENDPOINT_URL": server, "AWS_EC2_METADATA_DISABLED": "true"}
    if key:
        about |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": SECRET}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "HOME": "/nonexistent", **about},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
    )


@pytest.mark.slow
def test_a_bucket_of_a_server_gives_the_split_of_the_folder(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard_readers.lend(monkeypatch)
    folder = write_folder(tmp_path / "birds", album())
    of_ours(folder, tmp_path / "tar")
    write_parquet(tmp_path / "rows" / "data" / "x.parquet", album())
    assert main(["data", "--data", str(folder), "--out", str(tmp_path / "split")]) == 0
    for name, made in {"birds": folder, "tar": tmp_path / "tar", "rows": tmp_path / "rows"}.items():
        put(server, name, made)
        out = tmp_path / f"{name} out"
        done = run(server, "data", "--data", f"s3://{name}", "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert (out / SPLIT).read_bytes() == (tmp_path / "split" / SPLIT).read_bytes()
        for path in out.rglob("*"):
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_server_without_the_bucket_or_without_credentials_gives_one_line(
    server: str, tmp_path: Path
) -> None:
    done = run(server, "data", "--data", "s3://nowhere/x", "--out", str(tmp_path))
    error = only_error(done.stderr)
    assert done.returncode == 1 and re.search("s3://nowhere/x: no such bucket", error)
    done = run(server, "data", "--data", "s3://nowhere/x", "--out", str(tmp_path), key="")
    error = only_error(done.stderr)
    assert (
        done.returncode == 1 and "give credentials as the provider's own tools take them" in error
    )
