"""A trained model of others, loaded and run: the sounds of words by g2p-en (Park and Kim, Apache-2.0).

    python examples/g2p.py            # the golden words, and words of your own as arguments

Its file holds an embedding of letters, a GRU that reads them, one that writes sounds, and a head: what
`gru_rs.EncoderDecoder` is without attention.
"""

from __future__ import annotations

import argparse
import io

import gru_rs
import numpy as np
from _data import read

LETTERS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
VOWELS = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
# Their list also has a UW without stress.
SOUNDS = ["<pad>", "<unk>", "<s>", "</s>"]
SOUNDS += sorted([*CONSONANTS.split(" "), "UW", *(vowel + stress for vowel in VOWELS for stress in "012")])
BEGIN, END, LONGEST = 2, 3, 20
GOLDEN = {
    "activationist": "AE2 K T IH0 V EY1 SH AH0 N IH0 S T",
    "rustacean": "R AH1 S T EY2 SH AH0 N",
    "grandiloquent": "G R AE2 N D IH0 L AH1 K AH0 N T",
    "hello": "HH EH1 L OW0",
    "zyxwv": "Z IH1 K S V",
}


def load(own: str | None = None) -> gru_rs.EncoderDecoder:
    """The model with its weights."""
    found = np.load(io.BytesIO(read("g2p-en==2.1.0", "g2p_en/checkpoint20.npz", own)))
    letters, width = found["enc_emb"].shape
    sounds, _ = found["dec_emb"].shape
    model = gru_rs.EncoderDecoder(
        width, width, sounds, vocabulary_size=letters, attention=None, begin=BEGIN, end=END, seed=0
    )
    weights = {"source.weight": found["enc_emb"], "target.weight": found["dec_emb"]}
    for stack, short in {"encoder": "enc", "decoder": "dec"}.items():
        for name in ("w_ih", "w_hh", "b_ih", "b_hh"):
            kind = {"w": "weight", "b": "bias"}[name[0]]
            weights[f"{stack}.{kind}{name[1:]}_l0"] = found[f"{short}_{name}"]
    weights |= {"head.weight": found["fc_w"], "head.bias": found["fc_b"]}
    model.load_state_dict(weights)
    return model


def say(model: gru_rs.EncoderDecoder, word: str) -> str:
    """The sounds of a word."""
    letters = [LETTERS.index(letter) if letter in LETTERS else 1 for letter in word.lower()]
    (found,), *_ = model.decode([[*letters, LETTERS.index("</s>")]], max_length=LONGEST)
    return " ".join(SOUNDS[label] for label in found.labels)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--data", metavar="DIR", help="a folder with your own checkpoint20.npz")
    given = parser.parse_args()
    model = load(given.data)
    for word, expected in GOLDEN.items():
        found = say(model, word)
        assert found == expected, f"{word}: {found}, expected {expected}"
        print(f"{word}: {found}")
    for word in given.words:
        print(f"{word}: {say(model, word)}")


if __name__ == "__main__":
    main()
