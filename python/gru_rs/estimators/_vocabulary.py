"""Which tokens a model knows, and by which numbers: those given, those of training, those of word vectors. It
must not know how tokens are read or what is learnt of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs._checks import as_size

from ._batches import UNKNOWN, vocabulary_of
from ._columns import is_integral
from ._labels import plain_vocabulary

if TYPE_CHECKING:
    from ._batches import Token
    from ._vectors import Vectors


def least_frequency(steps: int) -> int:
    """How often a token must come among so many to be known, if nobody says: less than 50,000 are all known;
    from there on 2 times, and once more for each hundredfold.
    """
    return 1 + (len(str(steps // 500)) - 1) // 2


@dataclass(frozen=True)
class Choice:
    """What an estimator says of the tokens that it shall know."""

    min_frequency: int | None = None
    max_vocabulary: int | None = None
    given: Any = None
    vectors: Vectors | None = None

    def check(self) -> None:
        """The parameters, as far as they can be told without data."""
        if self.min_frequency is not None:
            as_size("min_frequency", self.min_frequency)
        if self.max_vocabulary is not None:
            as_size("max_vocabulary", self.max_vocabulary)
        if self.given is None:
            return
        for name in ("min_frequency", "max_vocabulary"):
            if getattr(self, name) is not None:
                msg = f"{name}: expected None with a vocabulary that is given, got {getattr(self, name)}"
                raise ValueError(msg)
        given_vocabulary(self.given)

    def made_of(self, features: list[Sequence[Token]], steps: int) -> dict[Token, int]:
        """The numbers of the tokens that are known, of those of so many steps."""
        least = least_frequency(steps) if self.min_frequency is None else self.min_frequency
        found = vocabulary_of(features, least, self.max_vocabulary)
        room = 0 if self.max_vocabulary is None else self.max_vocabulary - 1 - len(found)
        if self.given is not None:
            # What is told of tokens has no number yet.
            known = given_vocabulary(self.given)
            found = known | _behind(known, [token for token in found if isinstance(token, tuple)])
        if self.vectors is not None:
            found |= _behind(found, self.vectors.read(found, room))
        return plain_vocabulary("X", found)


def _behind(known: dict[Token, int], tokens: list[Token]) -> dict[Token, int]:
    """Numbers behind those that are known, for tokens that are not."""
    new = [token for token in tokens if token not in known]
    return {token: number for number, token in enumerate(new, len(known) + UNKNOWN + 1)}


def given_vocabulary(given: Any) -> dict[Token, int]:
    """Tokens in order, or by their numbers from 1 on; 0 is the unknown one."""
    if isinstance(given, np.ndarray) and given.ndim == 1:
        given = given.tolist()
    if not isinstance(given, (list, tuple, dict)):
        expected = "a list of tokens, or a dict of tokens to numbers"
        msg = f"vocabulary: expected {expected}, got {given!r:.60} ({type(given).__name__})"
        raise TypeError(msg)
    seen = set()
    for token in given:
        if not isinstance(token, (str, tuple)) and not is_integral(type(token)):
            msg = f"vocabulary: expected tokens that are strings or integers, got {token!r:.60}"
            raise TypeError(msg)
        if token in seen:
            msg = f"vocabulary: expected each token once, got {token!r:.60} again"
            raise ValueError(msg)
        seen.add(token)
    numbers = list(given.values()) if isinstance(given, dict) else list(range(UNKNOWN + 1, len(given) + 1))
    wanted = range(UNKNOWN + 1, len(numbers) + 1)
    if not numbers or any(map(_is_no_number, numbers)) or sorted(numbers) != list(wanted):
        expected = (
            f"at least one token, with the numbers 1 to {len(numbers)}, each once, as 0 is the unknown one"
        )
        msg = f"vocabulary: expected {expected}, got {numbers!r:.60}"
        raise ValueError(msg)
    return plain_vocabulary("vocabulary", dict(zip(given, map(int, numbers), strict=True)))


def _is_no_number(value: Any) -> bool:
    return not is_integral(type(value)) or isinstance(value, (bool, np.bool_))
