#!/usr/bin/env bash
# hls4ml 1.3.0 with PyTorch 2.15.0 (5 GB), its emulation compiled by g++: a module that returns a GRU's outputs of all steps.
# Guess: predict gives all steps, (B, T, H), as the module does.
# Seen: it gives the last step alone, (B, H), without a word; a Linear layer behind is then applied to that.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" torch==2.15.0 numpy==2.4.6 h5py==3.16.0
python3 -m pip install --quiet --target "$folder" --no-deps hls4ml==1.3.0 quantizers==1.2.2 pyyaml==6.0.3
cd "$folder"
PYTHONPATH=$folder python3 - 2> /dev/null <<'PY'
import hls4ml, torch
torch.manual_seed(0)
class Steps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(3, 4, batch_first=True)
    def forward(self, x):
        y, _ = self.gru(x)
        return y
module, x = Steps().eval(), torch.randn(8, 5, 3)
config = hls4ml.utils.config_from_pytorch_model(module, input_shape=(5, 3), default_precision="ap_fixed<40,12>", backend="Vitis", granularity="name", channels_last_conversion="off")
made = hls4ml.converters.convert_from_pytorch_model(module, hls_config=config, backend="Vitis", output_dir="project", io_type="io_parallel")
made.compile()
y, theirs = made.predict(x.numpy()), module(x).detach().numpy()
print("module", theirs.shape, "hls4ml", y.shape, "from the last step", abs(y.reshape(8, 4) - theirs[:, -1]).max())
assert y.size == 8 * 4 and abs(y.reshape(8, 4) - theirs[:, -1]).max() < 0.03
PY
