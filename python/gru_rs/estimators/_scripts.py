"""Scripts that are written without spaces between words: which letters are theirs, and texts in them as
tokens. It must not know what is learnt of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Letters and the marks on them by blocks of Unicode, without the digits and punctuation in between.
UNSPACED = (
    r"\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    r"\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    r"\u1000-\u103f\u1050-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Burmese and its kin
    r"\u1780-\u17d3\u17dc\u17dd"  # Khmer
    r"\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    r"\u3105-\u312f\u31a0-\u31bf"  # bopomofo
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""To stand within brackets of a pattern."""

_LETTER = re.compile(f"[{UNSPACED}]")
_TOKENS = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")

LEAST_SHARE = 0.1
"""Of all letters, from which texts are read as unspaced: little, as words of other scripts stay words."""


def unspaced_tokens(text: str) -> list[str]:
    """Letters of scripts without spaces one by one; words of others, and marks, as they are.

    Examples
    --------
    >>> unspaced_tokens("手机OK, 5星")
    ['手', '机', 'OK', ',', '5', '星']
    """
    return _TOKENS.findall(text)


def unspaced_share(texts: Iterable[str]) -> float:
    """Of all letters of some texts those that belong to scripts without spaces."""
    unspaced = others = 0
    for text in texts:
        if text.isascii():
            others += sum(map(str.isalpha, text))
            continue
        found = len(_LETTER.findall(text))
        unspaced += found
        others += sum(map(str.isalpha, _LETTER.sub("", text)))
    return unspaced / max(unspaced + others, 1)
