"""How far an answer may be from the float64 reference."""

import numpy as np

# In units of the largest value of the tensor, or of 1 if that is smaller. Float32 engines that sum in other
# orders differ by about 1e-6 in outputs and, over T·B = 6,400 terms, 1e-5 in weight gradients; a wrong gate,
# a swapped bias or a dropped initial state is 1e-2 and more.
OUTPUT_TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


class WrongAnswerError(Exception):
    """An engine's answer is not the reference's: nothing of its row may be reported."""


def check(engine, answer, reference, dtype):
    for name, expected in reference.items():
        if name not in answer:
            raise WrongAnswerError(f"{engine}: {name} is missing")
        got = np.asarray(answer[name]).reshape(expected.shape)
        limits = GRADIENT_TOLERANCE if name.startswith("d_") else OUTPUT_TOLERANCE
        atol = limits[np.dtype(dtype).name] * max(1.0, float(np.abs(expected).max()))
        if not np.allclose(got, expected, rtol=0, atol=atol):
            error = float(np.abs(got - expected).max())
            raise WrongAnswerError(f"{engine}: {name} is off by {error:.2e}, allowed {atol:.2e}")
