"""The bridge: weights and models of PyTorch, Keras, ONNX, Paddle and Haiku, both ways.

Each file converts one framework's; `_layouts` alone knows how they order gates and biases. The names are
those of `gru_rs` itself: ``gru_rs.from_torch`` and so on, imported when they are asked for.
"""
