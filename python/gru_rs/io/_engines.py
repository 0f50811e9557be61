"""What engines do not compute of what `to_onnx` writes. `make conformance` writes this file."""

from __future__ import annotations

KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "onnxruntime": (
        "onnxruntime 1.32.0",
        {
            "float64": "refused",
            "sequence_lens": "state 0 of a row of length 0",
        },
    ),
    "reference": (
        "onnx 1.23.2",
        {
            "clip": "clip dropped",
            "activations": "activations dropped",
            "sequence_lens": "lengths dropped",
        },
    ),
    "openvino": (
        "openvino 2026.4.1",
        {
            "activations": "refused",
            "float64": "computes float64 in float32",
            "sequence_lens": "state 0 of a row of length 0",
        },
    ),
    "mnn": (
        "MNN 3.6.1",
        {
            "reset_before": "reset behind the product but not over its bias",
            "reverse": "reverse run forward",
            "clip": "clip dropped",
            "activations": "activations dropped",
            "num_layers": "refused",
            "float64": "refused",
            "free sizes": "refused",
            "sequence_lens": "lengths dropped",
            "picked lengths": "refused",
            "picked lengths, free sizes": "refused",
        },
    ),
    "opencv": (
        "opencv 5.0.0",
        {
            "reverse": "reverse run forward",
            "bias=False": "refused",
            "clip": "clip dropped",
            "activations": "refused",
            "num_layers": "refused",
            "float64": "Y: unexplained; Y_h: unexplained; Y_c: unexplained",
            "sequence_lens": "lengths dropped",
            "picked lengths": "refused",
            "picked lengths, free sizes": "refused",
        },
    ),
    "tract": (
        "tract 0.23.9",
        {
            "reverse": "reverse run forward",
            "clip": "clip dropped",
            "activations": "activations dropped",
            "no states": "refused",
            "float64": "refused",
            "sequence_lens": "refused",
            "picked lengths": "refused",
            "picked lengths, free sizes": "refused",
            "gated lengths, free sizes": "refused",
        },
    ),
    "rten": (
        "rten 0.27.0",
        {
            "reset_before": "refused",
            "clip": "refused",
            "activations": "refused",
            "float64": "refused",
            "sequence_lens": "lengths dropped",
        },
    ),
}
"""By engine its version, and by option what happens: it is refused, or computed wrongly and how."""
