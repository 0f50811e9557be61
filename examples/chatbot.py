"""A bot to talk to: a GRU with attention that learns small talk and answers to questions.

    python examples/chatbot.py            # trains, half a minute, answers some questions; then you may talk
    python examples/chatbot.py --quick    # what CI runs

Some two thousand pairs of chatterbot-corpus, English. An honest word: it has read so little that it knows
these pairs and their like, and nothing else. It does not remember what was said before, it does not reason,
and to a question unlike all of these it answers with something that was an answer to another. What it does
show is how such a model is trained, and that it answers within milliseconds, without any service.
"""

from __future__ import annotations

import sys
import time

import gru_rs
import numpy as np
from _data import conversations
from _report import OUTPUT, arguments

OPTIONS = {
    "lowercase": True,
    "hidden_size": 128,
    "warmup_fraction": 0.05,
    "weight_decay": 0.0,
    "batch_size": 32,
    "input_dropout": 0.2,
    "output_dropout": 0.3,
    "max_target_length": 60,
    "beam_width": 4,
    "length_penalty": 0.6,
}
QUESTIONS = ["Hello", "How are you?", "What is AI?", "Do you like music", "tell me a joke"]
# Below this probability a word of the answer is a guess.
SURE = 0.3


def main() -> None:
    given = arguments(__doc__)
    pairs = conversations(given.data)
    said, answers = zip(*(pairs[:150] if given.quick else pairs), strict=True)
    bot = gru_rs.Seq2Seq(max_iter=2 if given.quick else 40, random_state=0, **OPTIONS)
    begin = time.perf_counter()
    bot.fit(list(said), list(answers))
    print(f"{len(said)} pairs, {bot.n_iter_} epochs: {time.perf_counter() - begin:.0f} s")
    begin, known = time.perf_counter(), set(pairs)
    right = np.mean(
        [(text, found) in known for text, found in zip(said, bot.predict(list(said)), strict=True)]
    )
    seconds = (time.perf_counter() - begin) / len(said)
    print(f"answers exactly as in the corpus: {right:.0%} of what was learnt, {seconds * 1e3:.1f} ms each")
    OUTPUT.mkdir(exist_ok=True)
    bot.save(OUTPUT / "chatbot.safetensors")
    for question in QUESTIONS:
        print(f"  you: {question}\n  bot: {answer(bot, question)}")
    if sys.stdin.isatty() and not given.quick:
        talk(bot)


def answer(bot: gru_rs.Seq2Seq, text: str) -> str:
    """What the bot says, and whether it is sure."""
    (best, *_), *_ = bot.predict_beam([text], beam_width=OPTIONS["beam_width"])
    sure = np.exp(best.log_p / (len(best.tokens) + 1)) >= SURE
    return best.target if sure else f"{best.target} (a guess)"


def talk(bot: gru_rs.Seq2Seq) -> None:
    """Until an empty line."""
    print("\nTalk to it; an empty line ends.")
    while text := input("  you: ").strip():
        print(f"  bot: {answer(bot, text)}")


if __name__ == "__main__":
    main()
