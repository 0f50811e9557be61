"""Layers by name, good ones beside bad ones: what every converter does with them."""

import weakref

import pytest
from gru_rs.io._found import chosen, everything, refusal, sorted_out

FOUND = {"good": lambda: 1, "bad": refusal("bad: expected a GRU, got a plain RNN"), "fine": lambda: 2}


def test_one_by_its_name():
    assert chosen(FOUND, "good", "") == 1
    assert chosen({"only": lambda: 3}, None, "") == 3
    assert everything(FOUND, "fine", "") == {"fine": 2}
    assert everything({"only": lambda: 3}, None, "") == {"only": 3}


def test_what_is_good_and_what_is_bad():
    assert sorted_out(FOUND) == ({"good": 1, "fine": 2}, {"bad": "bad: expected a GRU, got a plain RNN"})


@pytest.mark.parametrize("take", [chosen, everything])
def test_all_is_told_where_no_name_is_given(take):
    with pytest.raises(
        ValueError, match=r"one of 'fine', 'good', got None.*'bad' \(expected a GRU, got a plain RNN\)"
    ):
        take(FOUND, None, "")
    with pytest.raises(ValueError, match=r"^bad: expected a GRU, got a plain RNN$"):
        take(FOUND, "bad", "")
    with pytest.raises(ValueError, match=r"expected one of 'bad', 'fine', 'good', got 'other'$"):
        take(FOUND, "other", "")
    with pytest.raises(ValueError, match=r"^source: nothing$"):
        take({}, None, "source: nothing")


@pytest.mark.parametrize("take", [chosen, everything])
def test_the_only_one_says_why_by_itself(take):
    with pytest.raises(ValueError, match=r"^bad: expected"):
        take({"bad": FOUND["bad"]}, None, "")


def test_none_that_can_be_converted():
    with pytest.raises(ValueError, match=r"^source: expected layers, got none; refused: 'bad' .*, 'worse' "):
        everything({"bad": FOUND["bad"], "worse": FOUND["bad"]}, None, "")


def test_a_message_is_short_however_many_there_are():
    many = {f"layer{k}": refusal("no") if k % 2 else int for k in range(100_000)}
    with pytest.raises(ValueError, match=r"and 49980 more, got None.* and 49980 more$") as caught:
        chosen(many, None, "")
    assert len(str(caught.value)) < 2_000


def test_what_is_tried_for_its_name_is_not_kept():
    """Many may share one part of a file, and each would have numbers of its own."""
    alive, most = weakref.WeakSet(), []

    def convert():
        made = Made()
        alive.add(made)
        most.append(len(alive))
        return made

    with pytest.raises(ValueError, match="with 50 to choose from"):
        chosen({f"layer{k}": convert for k in range(50)}, None)
    assert max(most) == 1


class Made:
    pass


def test_long_names_are_cut():
    many = {f"{k}{'a' * 10_000}": refusal(f"{k}{'a' * 10_000}: no") if k % 2 else int for k in range(4)}
    for name in (None, "b" * 10_000):
        with pytest.raises(ValueError, match="a…") as caught:
            chosen(many, name)
        assert len(str(caught.value)) < 1_000
