"""What a `Model` and an `EncoderDecoder` share. It must not know heads or losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._arrays import as_array, as_integers, expect_shape
from ._parameters import Argument, Network

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array


class SequenceNetwork(Network):
    """What a `Model` and an `EncoderDecoder` share: a source that is tokens or numbers."""

    output_size: Argument[int] = Argument("Scores.")
    vocabulary_size: Argument[int | None] = Argument("Tokens, if the inputs are tokens.")
    cell: Argument[str] = Argument("'gru' or 'lstm'.")
    num_layers: Argument[int] = Argument("Layers, one on the other.")
    bidirectional: Argument[bool] = Argument("Whether there is a second direction.")
    reset_after: Argument[bool] = Argument("Of a GRU: which of the two reset variants it is.")
    dropout: Argument[float] = Argument("Share dropped between layers.")
    input_dropout: Argument[float] = Argument("Share of the stack's inputs that is dropped.")
    output_dropout: Argument[float] = Argument("Share of what the head sees that is dropped.")

    def _source(self, x: ArrayLike) -> Array:
        """Tokens or numbers, shaped as they should be."""
        if self.vocabulary_size is None:
            array = as_array("x", x, self._dtype)
            expect_shape("x", array, ("B", "T", self.input_size))
        else:
            array = as_integers("x", x, self.vocabulary_size)
            expect_shape("x", array, ("B", "T"), ("B", "T", "tokens of a step"))
        return array
