"""Which engine computes a recurrent node right?

    make conformance                                   all engines
    make conformance ENGINES="onnxruntime reference"   these, and the others as they were

ONNX models with GRU, LSTM and RNN nodes go through engines, each in an environment of its own, and every
answer is compared with a reference in float64. It writes benches/record/conformance.json and docs/engines.md.
"""

from .cli import main

main(__doc__)
