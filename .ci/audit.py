"""Are the files in dist what they say, and all of what they say? Run by `make audit`.

One wheel for the stable ABI that any Linux since 2014 can load, and one sdist with what it takes to build and
test it and nothing of the machine it was made on. abi3audit and twine look at the rest.
"""

import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

dist = Path(sys.argv[1])
(wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
name, version, python, abi, tag = wheel.stem.split("-")
assert (name, python, abi) == ("gru_rs", "cp310", "abi3"), wheel.name

if sys.platform == "linux":
    told = f"manylinux_2_17_{platform.machine()}"
    assert told in tag.split("."), f"{wheel.name}: expected {told}"
    shown = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r'following\s+platform\s+tag:\s+"(\w+)"', shown)
    # Older than told is no harm: the tag is then a promise kept with something to spare.
    assert found, shown
    glibc = [int(n) for n in re.findall(r"manylinux_(\d+)_(\d+)_", found[1])[0]]
    assert glibc <= [2, 17], f"told {told}, auditwheel finds {found[1]}\n{shown}"
    print(f"{wheel.name}: auditwheel finds {found[1]}")

inside = zipfile.ZipFile(wheel).namelist()
meta = f"{name}-{version}.dist-info/"
tracked = subprocess.check_output(["git", "ls-files", "gru_rs"], cwd="python", text=True)
ours = {"gru_rs/_core.pyd" if sys.platform == "win32" else "gru_rs/_core.abi3.so", *tracked.split()}
code = {n for n in inside if not n.startswith(meta)}
assert code == ours, f"{wheel.name} also holds {sorted(code - ours)} and lacks {sorted(ours - code)}"
assert meta + "licenses/LICENSE" in inside, inside

root = f"{name}-{version}/"
assert sdist.name == root[:-1] + ".tar.gz", sdist.name
with tarfile.open(sdist) as archive:
    files = {n.removeprefix(root) for n in archive.getnames()}
top = "PKG-INFO|pyproject.toml|Cargo.toml|Cargo.lock|build.rs|README.md|LICENSE|CHANGELOG.md"
known = rf"{top}|(src|python|benches|examples|tests)/.*|docs/engines\.md"  # which a test reads
foreign = sorted(n for n in files if not re.fullmatch(known, n))
ending = r"\.(so|pyd|dylib|pyc)$|(benches|examples)/.*\.(py|csv|md)$"
foreign += sorted(n for n in files if re.search(ending, n))
assert not foreign, f"{sdist.name} also holds {foreign[:10]}"
missing = {*top.split("|"), "src/lib.rs", "python/gru_rs/__init__.py", "tests/layers.rs"}
missing |= {"tests/python/conftest.py", "tests/golden/manifest.json"}
missing -= files
assert not missing, f"{sdist.name} lacks {sorted(missing)}"
print(f"{sdist.name}: {len(files)} files, {sdist.stat().st_size} bytes")
