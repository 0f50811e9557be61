"""Run every Python example of the README with the package that is installed here: .ci/run calls it in an
environment with the extras. What an example says behind a print, in a comment, must come out.

python readme.py README.md
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

blocks = re.findall(r"```python\n(.*?)```", Path(sys.argv[1]).read_text(encoding="utf-8"), re.DOTALL)
assert blocks, "no examples"
os.chdir(tempfile.mkdtemp())
for block in blocks:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block, sys.argv[1], "exec"), {"__name__": "__main__"})
    promised = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    printed = out.getvalue().splitlines()
    for promise in promised:
        answer = promise.partition(":")[0]
        assert answer in printed, f"{answer!r} is promised, {printed} came, in:\n{block}"
print(f"README: {len(blocks)} examples run, {sum(len(re.findall('print', block)) for block in blocks)} print")
