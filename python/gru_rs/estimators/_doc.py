"""The paragraphs that the docstrings of several estimators and of their methods share, each written once."""

from __future__ import annotations

import inspect
import textwrap
from typing import TypeVar

C = TypeVar("C", bound=type)

_PARTS = {
    "network": """
        cell : {"gru", "lstm"}, default "gru"
            Kind of layer.
        hidden_size : int, default 64
            Units of a layer's direction.
        num_layers : int, default 1
            Layers, one on the other.
        bidirectional : bool, default {bidirectional}
            Read from both ends: what is said of a step follows from those after it, too, and there is no
            stream.
        reset_after : bool, default True
            Of a GRU: which of the two reset variants it is; see `gru_rs.GRU`.
        dropout : float, default 0.0
            Share of the outputs between layers that training drops.
        input_dropout : float, {input_dropout}
            Share of the inputs or embeddings that training drops.{open input_dropout}
        output_dropout : float, {output_dropout}
            Share that training drops of what the last linear layer sees.{open output_dropout}
        variational : bool, default False
            Drop the same inputs of a sequence at every step (Gal and Ghahramani, 2016).
    """,
    "pooling": """
        pooling : {"last", "mean", "max", "concat", "attention"}, default "max"
            What of a sequence is judged: its final state; the mean or maximum of the outputs; these three
            together; or a mean in which each step counts by what a learnt vector makes of it.
    """,
    "convolution": """
        conv_channels : int, optional
            Put a causal convolution over time before the first layer, which then reads frames of so many
            numbers: of long raw signals one for each stride, which is as many times faster. None: none.
        conv_kernel_size, conv_stride : int, default 5 and 1
            Steps that a frame is made of, the one that it stands at and those before, and steps from frame to
            frame; the first stands at the first step, with zeros before it. What follows the last frame,
            fewer steps than a stride, is not seen, and nor are the steps between frames where the stride is
            longer than the kernel. Where each step has an answer the stride must be 1. With a kernel of 1 and
            a stride of 1 it is a layer for each step.
        conv_activation : {"relu", "tanh", "linear"}, default "relu"
            What becomes of the convolution's sums.
    """,
    "tokens": """
        scale : bool, default True
            Give each feature of numeric sequences mean 0 and variance 1, measured over all steps of training,
            in float64 before numbers become those of the model's dtype. A feature whose deviation is no more
            than its own type's rounding is a constant.
        tokens : bool, optional
            Whether sequences are tokens. None: strings and lists of lists of integers or strings are. What
            was trained on texts takes texts alone, and what was trained on lists of tokens those.
            Arrays, lists of arrays, tensors and columns of numbers are numbers, whatever their dtype, and so
            are lists that hold a float anywhere.
        analyzer : {"auto", "word", "char", "unspaced"}, callable or tokenizer, default "auto"
            How a string becomes tokens: words and single marks; characters; the letters of scripts without
            spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) one by one, each with the pair that it makes
            with the one before, and words of other scripts as they are; a function from str to a list; or a
            tokenizer of the package ``tokenizers``.
            "auto" is "unspaced" if a tenth of all letters that the first `fit` is given are such, which a
            warning says, else "word".
        lowercase : bool
            Take all letters as small ones; not before an analyzer of your own. By default True, for a tagger
            False.
        vocabulary : list of tokens or dict of token to int, optional
            The tokens that are known, in order, or with their numbers from 1 on; 0 is the unknown one. What
            `token_features` or pairs tell of them is numbered behind them. None: those of training.
        min_frequency : int, optional
            Tokens that come less often in training count as unknown. None: 1 of less than 50,000 tokens, from
            there on 2, and one more for each hundredfold.
        max_vocabulary : int, optional
            Most tokens that are known, the unknown one among them.
        embedding_size : int, optional
            Numbers for a token. None: as many as the vectors of `embedding_init` have, else 64.
        embedding_init : mapping, pair or path, optional
            Word vectors to begin with: token to vector; tokens and an array ``(tokens, width)``; or a text
            file of word2vec, fastText or GloVe, with or without the line that counts. A word that is not
            there is looked for in small letters; what is not found is drawn at random, as far apart as the
            vectors are. Where `max_vocabulary` leaves room, it is filled with the first tokens that training
            does not have, so that predictions know them. `verbose` says how many were found. A file of the
            estimator holds what was learnt, and None here.
        max_length : int, optional
            Longer sequences are cut.
        token_features : "spelling", callable or None
            Embeddings that are added to a token's own: for its small letters, its end, its beginning and its
            shape, or what a function from a token to a sequence of hashable features gives, the same number
            for each token. By default None, for a tagger "spelling". A feature stands in ``vocabulary_`` with
            its place, such as ``(0, feature)``.
        token_dropout : float, default 0.5
            How often training reads a token as unknown that comes once, drawn anew in each epoch; one that
            comes c times with the c-th power of this. So the unknown token, which predictions will meet,
            learns what rare ones are like. None is dropped where training has as many unknown ones already,
            by `min_frequency` or a vocabulary, nor in `partial_fit`, which meets what its first call did not.
    """,
    "scoring": """
        scoring : str, callable or None, default None
            By what an epoch is scored, on what is held out or on `validation_data`; higher is better. None:
            by accuracy, of numbers by the loss, of labels of steps as `score` does, of spellings by the error
            rate. A name of scikit-learn's scorers; labels and numbers of steps are taken one behind the
            other, and sequences of labels or tokens are right as a whole or wrong. Or a function of the
            estimator, X and y, with `sample_weight` by name if there are weights: X can be given to all
            methods of the estimator that take sequences, and y is what `predict` should give.
    """,
    "training": """
        learning_rate_init : float, default {learning_rate_init}
            Of AdamW.
        learning_rate : {"constant", "cosine", "plateau"}, {learning_rate}
            How it goes on: as it is; down to 0 along a cosine; by a tenth whenever the validation score, or
            else the loss, has not improved for some epochs.{open learning_rate}
        warmup_fraction : float, default 0.1
            Share of the steps of "cosine" in which the rate rises first.
        weight_decay : float, default {weight_decay}
            Decoupled (Loshchilov and Hutter, 2019).
        clip_norm : float or None, default 1.0
            Largest norm of all gradients together.
        batch_size : int, {batch_size}
            Sequences of a step, of about the same length.{open batch_size}
        max_iter : int, {max_iter}
            Most epochs of a run.{open max_iter}
        shuffle : bool, default True
            Another order in each epoch.
        early_stopping : {bool}
            Hold a share of the sequences out, or take `validation_data`, and keep the weights that are best
            on them.
        validation_fraction : float, default 0.1
            That share.
        n_iter_no_change : int, optional
            Epochs without improvement, of the validation score or else of the loss, that end training. None:
            10 with `early_stopping`, without it training goes on to `max_iter`.
        tol : float, default 1e-4
            Less is no improvement.
        warm_start : bool, default False
            Let `fit` go on. With the same data, a run that was stopped before its end, by a callback, by
            Ctrl-C or with the process, is taken up where it was, in the midst of an epoch, too, and goes on
            to `max_iter`: bit for bit the run that was not stopped, also from a file or a pickle. After a run
            that came to its end another one of `max_iter` epochs follows, from its last weights; a cosine
            begins anew, all else goes on. With other data a run begins with the weights that there are and
            with the optimizer's moments; that a stopped one is given up for it is a warning.
        frozen : sequence of str, default ()
            Parameters that training leaves as they are, to the bit, by the names of ``model_.params`` or what
            these begin with: "embedding", "conv", "rnn", "pool", "head", "crf"; of a `Seq2Seq` "source",
            "encoder", "target", "decoder", "attention", "combine", "head".
        callbacks : callable or sequence of callables, default ()
            Each is given a `TrainingInfo` after each batch and epoch; one that returns True ends training.
            `Checkpoint`, `CSVLog` and `TensorBoardLog` are some.
        verbose : bool, default False
            A line that says what parameters came to that are None, a line for each epoch, and why training
            ended; a bar if tqdm is installed.
        dtype : {"float32", "float64"}, default "float32"
            Of the model.
        random_state : int, RandomState or None, default None
            The same number gives the same bits on every machine.
    """,
    "attributes": """
        vocabulary_ : dict of token to int
            For token sequences; 0 is the unknown token.
        scale_ : pair of ndarray (n_features,), or None
            Mean and standard deviation of numeric features; 0 of a constant.
        n_features_in_ : int
            For numeric sequences; of an array ``(n, T)`` its steps.
        feature_names_in_ : ndarray of str
            If the sequences were tables, or one table, with names: others must have the same in this order.
        {fitted}
    """,
    "fitted": """
        model_ : gru_rs.Model
            The network.
        n_iter_ : int
            Epochs.
        stop_reason_ : str or None
            Why training ended; None during it, and of files that do not say it.
        loss_curve_ : list of float
            The loss of each epoch.
        validation_scores_ : list of float, or None
            Of each epoch with early stopping or `validation_data`.
        best_validation_score_ : float, or None
            The highest.
        quantization_ : gru_rs.Quantization
            After `quantize`.
    """,
}

_IN_PARTS = ' in `fit`, "constant" in `partial_fit`'
_LEFT_OPEN = {
    "input_dropout": "None: 0.3 of tokens, 0 of numbers.",
    "output_dropout": "None: 0.5 of tokens, 0.3 of numbers.",
    "learning_rate": f'None: "cosine"{_IN_PARTS}.',
    "batch_size": """
        None: 32 of 3,000 sequences and more, 16 of 300 and more, else 8; in `partial_fit` 32.
    """,
    "max_iter": """
        None: as many as read 50,000 sequences, but from 8 to 150.
    """,
}
"""What parameters mean that are None."""

_OF_METHODS = {
    "given": """
        Parameters
        ----------
        X, lengths
            As for `fit`.
    """,
    "scored": """
        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`.

        Returns
        -------
        float
    """,
    "refused": """
        Raises
        ------
        ValueError, TypeError
            Sequences that `fit` would not take, or of another kind.
    """,
}


def document(cls: C) -> C:
    """Puts the shared paragraphs where a class's docstring, or one of a method of its own, names them in
    braces.
    """
    by_itself = getattr(cls, "early_stopping", False) == "auto"
    flag = 'bool or "auto", default "auto"' if by_itself else "bool, default False"
    text = _filled(cls.__doc__, _PARTS).replace("{bool}", flag)
    for name in ("bidirectional", "learning_rate_init", "weight_decay"):
        text = text.replace(f"{{{name}}}", str(getattr(cls, name, None)))
    for name, rule in _LEFT_OPEN.items():
        default = getattr(cls, name, None)
        shown = "optional" if default is None else f"default {default!r}".replace("'", '"')
        told = rule if hasattr(cls, "partial_fit") else rule.replace(_IN_PARTS, "")
        said = "" if default is not None else "\n" + textwrap.indent(textwrap.dedent(told).strip(), " " * 4)
        text = text.replace(f"{{{name}}}", shown).replace(f"{{open {name}}}", said)
    cls.__doc__ = text
    for method in vars(cls).values():
        if inspect.isfunction(method) and method.__doc__:
            method.__doc__ = _filled(method.__doc__, _OF_METHODS)
    return cls


def _filled(doc: str | None, parts: dict[str, str]) -> str:
    text = inspect.cleandoc(doc or "")
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", textwrap.dedent(part).strip())
    return text
