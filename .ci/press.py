"""Press the wheels in a folder harder: the same files, by a search for the shortest deflate (zopfli).

    python .ci/press.py dist

Any reader of zip files reads them as before; a wheel's record is of what is in it, which stays.
"""

import sys
import zipfile
from pathlib import Path

import zopfli


def press(wheel: Path) -> None:
    """One wheel, in its place."""
    pressed = wheel.with_suffix(".part")
    with (
        zipfile.ZipFile(wheel) as before,
        zopfli.ZipFile(pressed, "w", zipfile.ZIP_DEFLATED, iterations=15) as after,
    ):
        for member in before.infolist():
            after.writestr(member, before.read(member))
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(pressed) as after:
        same = {one.filename: one.CRC for one in before.infolist()}
        if {one.filename: one.CRC for one in after.infolist()} != same or after.testzip() is not None:
            sys.exit(f"{wheel}: expected the same files after pressing, got others")
    sizes = wheel.stat().st_size, pressed.stat().st_size
    pressed.replace(wheel)
    print(f"{wheel.name}: {sizes[0]} bytes, pressed {sizes[1]}")


if __name__ == "__main__":
    for found in sorted(Path(sys.argv[1]).glob("*.whl")):
        press(found)
