"""Beside the frameworks themselves: `make test-peers`, in an environment that has them."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
