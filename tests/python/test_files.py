"""What reading and writing do to the files of a system: links, modes, devices, processes that are killed,
saves side by side; and headers that promise more than a file has.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress

import gru_rs
import numpy as np
import pytest
from gru_rs import _files
from gru_rs._saved import checksum

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and locks of POSIX")
SMALL = gru_rs.GRU(3, 5, seed=1)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# Writing ----------------------------------------------------------------------------------------------------


@posix
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "model"
    target.write_bytes(b"before")
    (tmp_path / "one").symlink_to("real/model")
    (tmp_path / "two").symlink_to("one")
    SMALL.save(tmp_path / "two")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert gru_rs.load(target).flat.tobytes() == SMALL.flat.tobytes()
    assert names(tmp_path / "real") == ["model"]
    # To nothing yet, as open() would have it.
    (tmp_path / "new").symlink_to("real/other")
    SMALL.save(tmp_path / "new")
    assert names(tmp_path / "real") == ["model", "other"]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="round"):
        SMALL.save(tmp_path / "round")


@posix
@pytest.mark.parametrize("before", [0o600, 0o640, 0o664, 0o777])
def test_the_mode_of_a_file_stays(tmp_path, before):
    path = tmp_path / "model"
    path.write_bytes(b"before")
    path.chmod(before)
    SMALL.save(path)
    assert mode(path) == before


@posix
def test_the_owner_of_a_file_stays(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"before")
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(path, 1234, 2345)
    SMALL.save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, mask):
    code = f"import os, gru_rs; os.umask({mask}); gru_rs.GRU(3, 5).save({str(tmp_path / 'model')!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mode(tmp_path / "model") == 0o666 & ~mask


@posix
def test_the_umask_of_the_process_is_not_touched(tmp_path, monkeypatch):
    """Another thread would make files that everybody may write."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("umask was set"))
    SMALL.save(tmp_path / "model")


@posix
@pytest.mark.parametrize("make", ["fifo", "device", "directory", "socket"])
def test_what_is_no_file_stays_as_it_is(tmp_path, make):
    path = tmp_path / "model"
    if make == "fifo":
        os.mkfifo(path)
    elif make == "device":
        path.symlink_to(os.devnull)
    elif make == "directory":
        path.mkdir()
    else:
        import socket

        socket.socket(socket.AF_UNIX).bind(str(path))
    before = path.stat()
    for call in (SMALL.save, gru_rs.load, lambda path: gru_rs.to_safetensors(SMALL, path)):
        with pytest.raises(OSError, match=r"expected a regular file, got a|Is a directory") as caught:
            call(path)
        assert str(path) in str(caught.value)
    assert os.path.samestat(before, path.stat())
    assert names(tmp_path) == ["model"]


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_folders_and_files_that_may_not_be_written(tmp_path):
    refused_saves(tmp_path)


@posix
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may become somebody else")
def test_folders_and_files_that_another_user_may_not_write(tmp_path):
    for folder in [tmp_path, *tmp_path.parents]:
        with suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(tmp_path, 12345, 12345)
    process = multiprocessing.get_context("fork").Process(target=as_somebody, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def as_somebody(folder):
    os.setgid(12345)
    os.setuid(12345)
    refused_saves(folder)


def refused_saves(folder):
    path = folder / "model"
    path.write_bytes(b"before")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="model"):
        SMALL.save(path)
    path.chmod(0o644)
    folder.chmod(0o555)
    try:
        with pytest.raises(
            PermissionError, match=r"written beside its place, as \.model\.part, first"
        ) as caught:
            SMALL.save(path)
        assert caught.value.filename == str(path)
    finally:
        with suppress(PermissionError):
            folder.chmod(0o777)
    assert path.read_bytes() == b"before"
    assert names(folder) == ["model"]


def test_a_name_as_long_as_it_may_be(tmp_path):
    path = tmp_path / ("m" * 255)
    SMALL.save(path)
    assert names(tmp_path) == [path.name]


KILLED = """
import os, signal, sys
import gru_rs
real = os.fsync
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
gru_rs.GRU(3, 5).save(sys.argv[1])
"""


@posix
def test_what_a_killed_save_leaves_the_next_one_removes(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"before")
    for _ in range(3):
        process = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        assert process.returncode == -signal.SIGKILL
        assert names(tmp_path) == [".model.part", "model"]
        assert path.read_bytes() == b"before"
    SMALL.save(path)
    assert names(tmp_path) == ["model"]
    assert gru_rs.load(path).flat.tobytes() == SMALL.flat.tobytes()


@posix
def test_what_stands_in_the_way_is_not_written_to(tmp_path):
    """A sibling of that name that leads elsewhere is removed, and not followed."""
    path, other = tmp_path / "model", tmp_path / "other"
    other.write_bytes(b"of somebody")
    (tmp_path / ".model.part").symlink_to(other)
    SMALL.save(path)
    assert other.read_bytes() == b"of somebody"
    assert names(tmp_path) == ["model", "other"]
    os.mkfifo(tmp_path / ".model.part")
    SMALL.save(path)
    assert names(tmp_path) == ["model", "other"]
    (tmp_path / ".model.part").mkdir()
    with pytest.raises(OSError, match=r"\.model\.part"):
        SMALL.save(path)


@posix
def test_a_save_that_waits_too_long_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "_PATIENCE", 0.05)
    with (
        _files._part(str(tmp_path / "model")),
        pytest.raises(OSError, match="expected to be written by nobody else"),
    ):
        SMALL.save(tmp_path / "model")
    assert names(tmp_path) == []
    SMALL.save(tmp_path / "model")


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    SMALL.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        gru_rs.GRU(3, 6).save(tmp_path / "model")
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model").read_bytes() == before


def save_often(path, seed, count, saved):
    layer = gru_rs.GRU(30, 50, seed=seed)
    for _ in range(count):
        layer.save(path)
    saved.put(seed)


@posix
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [threading.Thread, multiprocessing.get_context("spawn").Process])
def test_saves_side_by_side(tmp_path, kind):
    """All succeed, and whoever reads meanwhile sees a whole file of one of them."""
    path = tmp_path / "model"
    wanted = {hashlib.sha256(gru_rs.GRU(30, 50, seed=seed).flat.tobytes()).digest() for seed in range(4)}
    saved = multiprocessing.get_context("spawn").SimpleQueue()
    save_often(path, 0, 1, saved)
    savers = [kind(target=save_often, args=(path, seed, 25, saved)) for seed in range(4)]
    for saver in savers:
        saver.start()
    seen, end = set(), time.monotonic() + 100
    while any(saver.is_alive() for saver in savers) and time.monotonic() < end:
        seen.add(hashlib.sha256(gru_rs.load(path).flat.tobytes()).digest())
    for saver in savers:
        saver.join()
    assert sorted(saved.get() for _ in range(5)) == [0, 0, 1, 2, 3]
    assert seen <= wanted
    assert names(tmp_path) == ["model"]


# Reading ----------------------------------------------------------------------------------------------------


def test_a_file_that_becomes_shorter_meanwhile_kills_nobody(tmp_path):
    """What was loaded is in memory; a map would be a SIGBUS."""
    path = tmp_path / "model"
    SMALL.save(path)
    whole = path.read_bytes()
    stop = threading.Event()

    def tear():
        while not stop.is_set():
            with path.open("r+b") as file:
                file.truncate(len(whole) // 2)
                file.write(whole)

    thread = threading.Thread(target=tear)
    thread.start()
    try:
        for _ in range(300):
            with suppress(ValueError):
                assert gru_rs.load(path).flat.tobytes() == SMALL.flat.tobytes()
    finally:
        stop.set()
        thread.join()


def test_more_than_max_bytes_is_not_read(tmp_path):
    path = tmp_path / "model"
    SMALL.save(path)
    count = path.stat().st_size
    assert gru_rs.load(path, max_bytes=count)
    with pytest.raises(ValueError, match=rf"at most {count - 1} bytes to read \(max_bytes\), got {count}"):
        gru_rs.load(path, max_bytes=count - 1)
    with pytest.raises(ValueError, match=r"header of at most 100 \(max_bytes\), got"):
        gru_rs.load(path, max_bytes=100)
    with pytest.raises(TypeError, match="max_bytes: expected a positive integer"):
        gru_rs.load(path, max_bytes="many")
    classifier = gru_rs.SequenceClassifier(max_iter=1, hidden_size=4).fit(["a", "b"], [0, 1])
    classifier.save(path)
    assert gru_rs.SequenceClassifier.load(path, max_bytes=10**5)
    with pytest.raises(ValueError, match="max_bytes"):
        gru_rs.SequenceClassifier.load(path, max_bytes=5000)
    # Five gigabytes that the header declares and the file has, as a hole.
    header = {"a": {"dtype": "U8", "shape": [5 * 2**30], "data_offsets": [0, 5 * 2**30]}}
    write(path, json.dumps(header), b"", hole=5 * 2**30)
    with pytest.raises(ValueError, match=f"at most {2**32} bytes to read"):
        gru_rs.load(path)


def write(path, header, data, hole=0):
    text = header.encode() if isinstance(header, str) else header
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
        if hole:
            file.truncate(8 + len(text) + hole)


def info(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BOMBS = {
    "deep": ("[" * 200_000, b""),
    "deep in a tensor": ('{"a":{"dtype":"F32","shape":' + "[" * 50_000 + "]" * 50_000 + "}}", b""),
    "no object": ("[]", b""),
    "no JSON": ("{", b""),
    "no text": (b"\xff\xfe", b""),
    "a number of many digits": ('{"a":' + "9" * 10_000 + "}", b""),
    "NaN": ('{"a":NaN}', b""),
    "twice": ('{"a":%s,"a":%s}' % ((json.dumps(info([1], 0, 4)),) * 2), b"1234"),
    "huge": (json.dumps({"a": info([2**62], 0, 2**62)}), b""),
    "huge to overflow": (json.dumps({"a": info([2**32, 2**32], 0, 0)}), b""),
    "huge and empty": (json.dumps({"a": info([2**62, 0], 0, 0)}), b""),
    "many axes": (json.dumps({"a": info([2**62] * 100_000, 0, 4)}), b"1234"),
    "negative": (json.dumps({"a": info([-1, -1], 0, 4)}), b"1234"),
    "fractions": (json.dumps({"a": info([1.0], 0, 4)}), b"1234"),
    "bools": (json.dumps({"a": info([True], 0, 4)}), b"1234"),
    "overlapping": (json.dumps({"a": info([1], 0, 4), "b": info([1], 2, 6)}), b"123456"),
    "the same bytes": (json.dumps({"a": info([1], 0, 4), "b": info([1], 0, 4)}), b"1234"),
    "with a hole": (json.dumps({"a": info([1], 0, 4), "b": info([1], 8, 12)}), b"1" * 12),
    "not to the end": (json.dumps({"a": info([1], 0, 4)}), b"12345"),
    "backwards": (json.dumps({"a": info([1], 4, 0)}), b"1234"),
    "another shape": (json.dumps({"a": info([2], 0, 4)}), b"1234"),
    "of more than there is": (json.dumps({"a": info([1], 0, 4) | {"more": 1}}), b"1234"),
    "of an unknown type": (json.dumps({"a": info([1], 0, 4, "F31")}), b"1234"),
    "metadata of numbers": ('{"__metadata__":{"gru_rs":1}}', b""),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_headers_are_refused_before_anything_is_allocated(tmp_path, bomb):
    path = tmp_path / "model"
    write(path, *BOMBS[bomb])
    start = time.monotonic()
    with pytest.raises(ValueError, match="expected") as caught:
        gru_rs.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("length", [0, 3, 7, 8, 2**31, 2**63, 2**64 - 1])
def test_lengths_of_a_header_that_is_not_there(tmp_path, length):
    path = tmp_path / "model"
    path.write_bytes(struct.pack("<Q", length)[: max(length, 1) if length < 8 else 8] + b"{}"[: length // 8])
    with pytest.raises(ValueError, match="expected a whole safetensors file"):
        gru_rs.load(path)


def test_the_checksum_is_what_design_md_says(tmp_path):
    SMALL.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    metadata = header.pop("__metadata__")
    covered = metadata["gru_rs"].encode()
    for name, tensor in sorted(header.items()):
        begin, end = tensor["data_offsets"]
        covered += f"\n{name} {tensor['dtype']} {tensor['shape']}\n".encode() + data[begin:end]
    import zlib

    assert metadata["gru_rs_checksum"] == f"crc32:{zlib.crc32(covered):08x}"
    assert checksum("", {}) == "crc32:00000000"


def test_saving_twice_gives_the_same_bytes(tmp_path):
    code = "import gru_rs, sys; gru_rs.GRU(3, 5, seed=1).quantize('int8').save(sys.argv[1])"
    for number in range(3):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / str(number))], check=True)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_other_readers_take_what_is_written(tmp_path):
    from safetensors.numpy import load_file

    for layer in (SMALL, SMALL.quantize("int8"), SMALL.quantize("f16"), gru_rs.GRU(3, 5, dtype="float64")):
        layer.save(tmp_path / "model")
        found = load_file(tmp_path / "model")
        assert found["weight_ih_l0"].dtype == layer.weight_dtype
        if layer.quantization is None:
            assert {name: value.tolist() for name, value in found.items()} == {
                name: value.tolist() for name, value in layer.params.items()
            }


def test_files_without_a_checksum_load_as_before():
    for name in ("turns", "words"):
        path = gru_rs_tests() / "files" / f"{name}.safetensors"
        assert b"gru_rs_checksum" not in path.read_bytes()
        assert gru_rs.load(path).classes_.size == 2


def test_damage_is_called_damage(tmp_path):
    path = tmp_path / "model"
    SMALL.save(path)
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    with pytest.raises(
        ValueError, match=r"expected the checksum 'crc32:.{8}' that it was saved with, got .*damaged"
    ):
        gru_rs.load(path)


def gru_rs_tests():
    from pathlib import Path

    return Path(__file__).parents[1]


def test_windows_has_no_fcntl(tmp_path, monkeypatch):
    """As far as it can be tried here: without locks what was left is removed, and files are whole."""
    monkeypatch.setattr(_files, "fcntl", None)
    (tmp_path / ".model.part").write_bytes(b"left")
    SMALL.save(tmp_path / "model")
    assert names(tmp_path) == ["model"]
    np.testing.assert_array_equal(gru_rs.load(tmp_path / "model").flat, SMALL.flat)
