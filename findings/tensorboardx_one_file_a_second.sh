#!/usr/bin/env bash
# tensorboardX 2.6.5: training that goes on opens a second SummaryWriter on the folder of the first, which was closed.
# Guess: the second one adds a file beside the first, and TensorBoard shows the events of both.
# Seen: files are called after the whole second; a writer of the same second opens the file of the first anew, and what that
# had written, flushed and closed is gone, without a word. (A `filename_suffix` of one's own keeps both.)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
PYTHONPATH=$folder python3 - "$folder/log" <<'PY'
import pathlib, sys, time
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboardX import SummaryWriter
def losses(folder, **more):
    time.sleep(1 - time.time() % 1)  # both of one second
    for step in (0, 1):
        writer = SummaryWriter(str(folder), **{name: make(step) for name, make in more.items()})
        writer.add_scalar("loss", 1.0 / (step + 1), step)
        writer.flush()
        writer.close()
    files = sorted(folder.iterdir())
    steps = [event.step for file in files for event in EventFileLoader(str(file)).Load() if event.summary.value]
    return len(files), sorted(steps)
log = pathlib.Path(sys.argv[1])
plain, apart = losses(log / "plain"), losses(log / "apart", filename_suffix=".{}".format)
print("files, steps:", plain, "with suffixes:", apart)
assert plain == (1, [1]) and apart == (2, [0, 1])
PY
