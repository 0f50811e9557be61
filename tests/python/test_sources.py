"""Files and archives that converters read: `io/_source.py`."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import gru_rs
import numpy as np
import pytest
from gru_rs.io._source import KINDS, expect_bytes, read_zip, source_of

WANTED = ("safetensors", "npz")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    gru_rs.to_safetensors(gru_rs.GRU(3, 4, seed=1), path)
    return path.read_bytes()


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return data.getvalue()


def tarred(files, mode="w"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, contents in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return data.getvalue()


PACKED = {
    "zip": zipped,
    "stored zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "tar": tarred,
    "tar.gz": lambda files: tarred(files, "w:gz"),
    "tar.bz2": lambda files: tarred(files, "w:bz2"),
    "tar.xz": lambda files: tarred(files, "w:xz"),
}


def arrays(save, *given, **named):
    data = io.BytesIO()
    save(data, *given, **named)
    return data.getvalue()


@pytest.mark.parametrize("packed", PACKED)
def test_the_one_model_of_an_archive_is_found(tmp_path, model, packed):
    path = tmp_path / "anything"
    path.write_bytes(PACKED[packed]({"README.md": b"of a model", "a/model.bin": model, "empty": b""}))
    source = source_of(path, WANTED)
    assert source.kind == "safetensors"
    assert source.name == "anything!a/model.bin"
    assert source.read() == model
    with source.opened() as (file, size):
        assert (file.read(), size) == (model, len(model))
    assert source_of(f"{path}!a/model.bin", WANTED).read() == model


@pytest.mark.parametrize("packed", PACKED)
def test_of_several_one_is_named(tmp_path, model, packed):
    path = tmp_path / "two.archive"
    path.write_bytes(PACKED[packed]({"a": model, "b": model, "c.txt": b"words"}))
    with pytest.raises(
        ValueError, match=r"expected one of them in two.archive, got two.archive!a, two.archive!b"
    ):
        source_of(path, WANTED)
    assert source_of(f"{path}!b", WANTED).name == "two.archive!b"
    with pytest.raises(ValueError, match=r"one of a, b, c.txt in two.archive, got 'd'"):
        source_of(f"{path}!d", WANTED)
    with pytest.raises(ValueError, match=r"got c.txt \(something else\)"):
        source_of(f"{path}!c.txt", WANTED)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_one_file_that_is_compressed(tmp_path, model, pack):
    path = tmp_path / "model.packed"
    path.write_bytes(pack(model))
    assert source_of(path, WANTED).read() == model
    with pytest.raises(ValueError, match=r"one of one file without a name in model.packed, got 'a'"):
        source_of(f"{path}!a", WANTED)


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "hdf5"),
        (arrays(np.save, np.ones(3)), "npy"),
        (arrays(np.savez, a=np.ones(3)), "npz"),
        (b"\x80\x04\x95" + bytes(20), "pickle"),
        (b"\x08\x08\x12\x07pytorch", "protobuf"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(20), "tflite"),
        (b"7767517\n3 3\n", "ncnn"),
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs"),
        (b"\n<!DOCTYPE html><title>404", "html"),
        (b"words", "unknown"),
        (zipped({"config.json": b"{}", "model.weights.h5": b"", "metadata.json": b"{}"}), "keras"),
        (zipped({"a/data.pkl": b"", "a/version": b"3"}), "torch"),
        (zipped({"a/data.pkl": b"", "a/constants.pkl": b""}), "torchscript"),
        (zipped({"a/archive_format": b"pt2"}), "pt2"),
    ],
)
def test_kinds_are_told_by_the_first_bytes(tmp_path, contents, kind):
    path = tmp_path / "file.onnx"
    path.write_bytes(contents)
    found = source_of(path, [kind])
    assert (found.kind, found.read()) == (kind, contents)
    if kind != "safetensors":
        with pytest.raises(ValueError, match=r"source: expected safetensors, got file\.onnx, ") as error:
            source_of(path, ["safetensors"])
        assert KINDS[kind] in str(error.value)


def test_nothing_comes_out_that_was_not_declared(tmp_path, model):
    many = bytes(70 * 2**20)
    for packed in (zipped({"a": many}), tarred({"a": many}, "w:gz"), gzip.compress(many)):
        path = tmp_path / "bomb"
        path.write_bytes(packed)
        with pytest.raises(ValueError, match=r"expected at most 67108864 bytes in such an archive, got"):
            source_of(path, WANTED)
    path.write_bytes(zipped({"a": model}))
    for most in (1, len(model) - 1):
        with pytest.raises(ValueError, match="expected at most"):
            source_of(path, WANTED, most)
    assert source_of(path, WANTED, len(model)).read() == model
    path.write_bytes(model)
    with pytest.raises(ValueError, match=r"expected at most 9 bytes \(max_bytes\)"):
        source_of(path, WANTED, 9).read()
    with pytest.raises(ValueError, match="expected at most 100 times the 10 bytes that it has"):
        expect_bytes("x", 2**30, 10, 2**32)


@pytest.mark.parametrize("packed", PACKED)
def test_damaged_archives_are_errors(tmp_path, model, packed):
    whole = PACKED[packed]({"a": model * 3, "b": b"words"})
    path = tmp_path / "damaged"
    random = np.random.default_rng(0)
    refused = 0
    for k in range(200):
        damaged = bytearray(whole[: random.integers(len(whole))] if k % 2 else whole)
        for place in random.integers(0, max(len(damaged), 1), 1 + k % 5):
            if damaged:
                damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            source_of(path, WANTED).read()
        except ValueError:
            refused += 1
    assert refused > 50


def test_an_archive_whose_members_begin_before_it(tmp_path, model):
    """Readers go to places of a file that it does not have, which the system refuses."""
    path = tmp_path / "damaged"
    for name in ("a.npy", "a.safetensors"):
        whole = bytearray(zipped({name: model}))
        whole[-6:-2] = (10**6).to_bytes(4, "little")  # where the list of members is said to be
        path.write_bytes(whole)
        with pytest.raises(ValueError, match="got damaged, which cannot be read: "):
            read_zip(source_of(path, WANTED), [name])


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_other_compressions_is_refused(tmp_path, model, kind):
    path = tmp_path / "other.zip"
    path.write_bytes(zipped({"a": model}, kind))
    with pytest.raises(
        ValueError, match=f"a: expected a member that is stored or deflated, got compression {kind}"
    ):
        source_of(path, WANTED)


@pytest.mark.parametrize("declared", [10, 2**20])
def test_a_member_has_what_it_declares(tmp_path, declared):
    whole = bytes(70001)
    packed = bytearray(zipped({"a": whole}))
    size = len(whole).to_bytes(4, "little")
    while (at := packed.find(size)) >= 0:
        packed[at : at + 4] = declared.to_bytes(4, "little")
    path = tmp_path / "other.zip"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"bytes that are declared|cannot be read: Bad CRC"):
        source_of(path, WANTED)


def test_a_tar_ends_where_its_members_say_that_it_does_not(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.type = tarfile.CHRTYPE
        archive.addfile(info)
    member = bytearray(data.getvalue()[:512])
    member[124:136] = b"\x80" + (2**60).to_bytes(11, "big")  # the size
    member[156:157] = b"Z"  # the type
    member[148:156] = b" " * 8
    member[148:156] = b"%06o\0 " % sum(member)
    path = tmp_path / "endless.tar"
    path.write_bytes(member + data.getvalue()[512:])
    with pytest.raises(ValueError, match="expected at most 67108864 bytes in such an archive"):
        source_of(path, WANTED)


def test_files_of_a_zip(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(
        zipped({"config.json": b"{}", "model.weights.h5": b"weights", "other": b"not asked for"})
    )
    source = source_of(path, ["keras"])
    assert read_zip(source, ["config.json", "model.weights.h5", "metadata.json"]) == {
        "config.json": b"{}",
        "model.weights.h5": b"weights",
    }


def test_what_is_no_archive_and_what_is_not_there(tmp_path, model):
    path = tmp_path / "model.safetensors"
    path.write_bytes(model)
    with pytest.raises(
        ValueError, match=r"expected an archive before the '!', got model.safetensors, safetensors"
    ):
        source_of(f"{path}!a", WANTED)
    with pytest.raises(FileNotFoundError):
        source_of(tmp_path / "none!a", WANTED)
    with pytest.raises(IsADirectoryError):
        source_of(tmp_path, WANTED)
    with pytest.raises(TypeError, match="max_bytes: expected an int, got str"):
        source_of(path, WANTED, "9")
