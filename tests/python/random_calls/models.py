"""Models, pairs of encoder and decoder, their streams and generators, and the calls that they have."""

import gru_rs
import numpy as np
from layers import Networks, as_pair, pick


class Sequences(Networks):
    """What a model and a pair share."""

    vocabulary = 7
    functions = ("sigmoid",)

    def prepare(self):
        self.net = self.kind(**{name: right for name, (_, right) in self.options().items()})

    def shared(self):
        rng = self.rng
        layers = int(rng.integers(1, 3))
        return {
            "input_size": ("integer", int(rng.integers(1, 5))),
            "hidden_size": ("integer", int(rng.integers(1, 8))),
            "output_size": ("integer", int(rng.integers(3, 7))),
            "vocabulary_size": ("integer", pick(rng, [self.vocabulary, self.vocabulary, None])),
            "cell": ("word", pick(rng, ["gru", "lstm"])),
            "num_layers": ("integer", layers),
            "bias": ("flag", bool(rng.integers(2))),
            "bidirectional": ("flag", bool(rng.integers(2))),
            "reset_after": ("flag", bool(rng.integers(2))),
            "dropout": ("number", pick(rng, [0.0, 0.5]) if layers > 1 else 0.0),
            "input_dropout": ("number", pick(rng, [0.0, 0.5])),
            "output_dropout": ("number", pick(rng, [0.0, 0.5])),
            "dtype": ("dtype", self.dtype),
            "seed": ("integer", int(rng.integers(100))),
        }

    def of_constructor(self):
        return self.made(self.kind, self.options())

    def source(self, batch, seq):
        if self.net.vocabulary_size is None:
            return self.floats(batch, seq, self.net.input_size)
        several = [pick(self.rng, [1, 2])] if self.rng.random() < 0.3 else []
        return self.ints(0, self.vocabulary, batch, seq, *several)

    def given(self, least=0):
        seq, batch = self.sizes()
        seq += least
        arguments = {"x": ("array", self.source(batch, seq))} | self.lengths(batch, seq)
        _, lengths = arguments.get("lengths", (None, np.full(batch, seq)))
        return arguments, batch, seq, lengths

    def weighted(self, arguments, batch):
        if self.rng.random() < 0.4:
            arguments["sample_weight"] = ("array", self.rng.random(batch).astype(self.dtype))

    def trained(self, arguments):
        """Loss or loss with gradient."""
        more = {"watched": [self.net]}
        if self.rng.random() < 0.4:
            return self.net.loss, arguments, more
        if self.rng.random() < 0.3:
            # The network's own generator moves on, unless the call is refused.
            return self.net.loss_and_grad, arguments, more | {"pure": False}
        arguments["seed"] = ("integer", int(self.rng.integers(100)))
        arguments["memory"] = ("word", pick(self.rng, ["full", "low"]))

        def shapes(result):
            return [(np.array(result[0]), (), np.float64), (result[1], self.net.flat.shape, self.dtype)]

        return self.net.loss_and_grad, arguments, more | {"shapes": shapes}


class Models(Sequences):
    kind = gru_rs.Model

    def prepare(self):
        super().prepare()
        options = {"vocabulary_size": pick(self.rng, [None, self.vocabulary]), "dtype": self.dtype, "seed": 1}
        pooling = pick(self.rng, ["last", "mean", "max", "each"])
        cell = pick(self.rng, ["gru", "lstm"])
        self.one_way = gru_rs.Model(3, 4, 5, num_layers=2, pooling=pooling, cell=cell, **options)
        self.stream = self.one_way.stream(pick(self.rng, [None, 1, 3]))
        speaker = gru_rs.Model(3, 4, 7, vocabulary_size=7, pooling="each", dtype=self.dtype, seed=1)
        # Two that are the same, as one is asked wrong things in between.
        sampling = pick(self.rng, [(0.0, 0, 1.0, 1.0), (1.0, 3, 0.9, 1.2)])
        self.twins = [speaker._core.generator(sampling, 1) for _ in range(2)]
        for twin in self.twins:
            twin.read([1])

    def options(self):
        rng = self.rng
        pooling = pick(rng, ["last", "mean", "max", "each"])
        return self.shared() | {
            "variational": ("flag", bool(rng.integers(2))),
            "pooling": ("word", pooling),
            "crf": ("flag", pooling == "each" and bool(rng.integers(2))),
        }

    def outputs(self, batch, lengths):
        return int(lengths.sum()) if self.net.pooling == "each" else batch

    def carried(self, batch):
        net = self.net
        scans = net.num_layers * (1 + net.bidirectional)
        return as_pair([self.floats(scans, batch, net.hidden_size) for _ in range(1 + (net.cell == "lstm"))])

    def of_state(self):
        batch = int(self.rng.integers(1, 5))
        return self.net.state, {"batch_size": ("integer", batch)}, {"watched": [self.net]}

    def of_scores(self):
        arguments, batch, _, lengths = self.given()
        shape = (self.outputs(batch, lengths), self.net.output_size)
        more = {"watched": [self.net], "shapes": lambda y: [(y, shape, self.dtype)]}
        if self.rng.random() < 0.4:
            arguments["state"] = ("states", self.carried(batch))
            more |= {"pure": False, "written": {"state"}}
        return self.net.scores, arguments, more

    def of_labels(self):
        arguments, batch, _, lengths = self.given()
        shape = (self.outputs(batch, lengths),)
        return self.net.labels, arguments, {"watched": [self.net], "shapes": lambda y: [(y, shape, np.intp)]}

    def of_spell(self):
        arguments, *_ = self.given()
        arguments["blank"] = ("integer", 0)
        if self.rng.random() < 0.5:
            arguments["beam_width"] = ("integer", int(self.rng.integers(1, 4)))
        if self.net.pooling == "each" and not self.net.crf:
            return self.net.spell, arguments, {"watched": [self.net]}
        return self.refused(self.net.spell), arguments, {"watched": [self.net]}

    def refused(self, function):
        """A function that this model does not have, whatever it is given."""

        def ask(**given):
            try:
                function(**given)
            except (TypeError, ValueError, MemoryError):
                return
            raise AssertionError("was taken")

        return ask

    def of_loss(self):
        arguments, batch, _, lengths = self.given()
        net, rng = self.net, self.rng
        rows = self.outputs(batch, lengths)
        classes = ("array", self.ints(0, net.output_size, rows))
        numbers = ("array", self.floats(rows, net.output_size))
        loss = pick(
            rng, [gru_rs.CrossEntropy(label_smoothing=0.1), gru_rs.SquaredError(), gru_rs.AbsoluteError()]
        )
        if net.crf:
            loss = gru_rs.CrossEntropy()
        arguments["targets"] = classes if isinstance(loss, gru_rs.CrossEntropy) else numbers
        arguments["loss"] = ("word", loss)
        self.weighted(arguments, batch)
        if rng.random() < 0.2:
            arguments["state"] = ("states", self.carried(batch))
            function, arguments, more = self.trained(arguments)
            more.pop("shapes", None)
            return function, arguments, more | {"pure": False, "written": {"state"}}
        return self.trained(arguments)

    def of_ctc(self):
        arguments, batch, _, lengths = self.given(least=6)
        if "lengths" in arguments:
            arguments["lengths"] = ("array", np.maximum(lengths, 5))
        rows = [self.rng.permutation(self.net.output_size - 1)[:2].tolist() for _ in range(batch)]
        arguments["targets"] = ("spelling", [[label + 1 for label in row] for row in rows])
        self.weighted(arguments, batch)
        function, arguments, more = self.trained(arguments)
        if self.net.pooling != "each" or self.net.crf:
            function = self.refused(function)
            more.pop("shapes", None)
            more["pure"] = False

        def lose(**given):
            return function(loss=gru_rs.CTC(), **given)

        return lose, arguments, more

    def of_make_stream(self):
        return self.one_way.stream, {"batch_size": ("integer", 3)}, {"watched": [self.one_way]}

    def of_stream_call(self):
        batch = self.stream.batch_size
        rows = [] if batch is None else [batch]
        axes = [*rows, *([] if self.rng.random() < 0.5 else [int(self.rng.integers(0, 5))])]
        tokens = self.one_way.vocabulary_size is not None
        x = self.ints(0, self.vocabulary, *axes) if tokens else self.floats(*axes, 3)
        arguments, shape = {"x_t": ("array", x)}, (*axes, 5)
        if self.rng.random() < 0.5:
            arguments["out"] = ("out", np.zeros(shape, self.dtype))
        more = {"watched": [self.stream], "pure": False, "written": {"out"}}
        return self.stream, arguments, more | {"shapes": lambda y: [(y, shape, self.dtype)]}

    def of_stream_state(self):
        def write(state):
            self.stream.state = state

        more = {"watched": [self.stream], "pure": False}
        return write, {"state": ("table", self.one_way.stream(self.stream.batch_size).state)}, more

    def of_stream_rows(self):
        more = {"watched": [self.stream], "pure": False}
        if self.stream.batch_size is None:
            return self.stream.reset, {}, more
        if self.rng.random() < 0.3:
            mask = self.rng.random(self.stream.batch_size) < 0.5
            return self.stream.reset, {"mask": ("array", mask)}, more
        if self.stream.batch_size > 1 and self.rng.random() < 0.6:
            row = int(self.rng.integers(self.stream.batch_size))
            return self.stream.leave, {"row": ("integer", row)}, more
        return self.stream.join, {"state": ("table", self.one_way.stream().state)}, more

    def of_generator(self):
        one, twin = self.twins

        tokens = pick(self.rng, [[1], [6, 0, 3], [0] * 50])
        wrong = pick(self.rng, [[7], [2, 2**32 - 1], [2**31, 1]])

        def read():
            for generator in (one, twin):
                generator.read(tokens)
            for refused, given in ((one.read, wrong), (one.forbid, max(wrong)), (one.begin, max(wrong))):
                try:
                    refused(given)
                except ValueError:
                    continue
                raise AssertionError("was taken")
            assert one.next() == twin.next(), "a call that was refused moved the generator"

        return read, {}, {"pure": False}


class Pairs(Sequences):
    kind = gru_rs.EncoderDecoder

    def options(self):
        rng, options = self.rng, self.shared()
        options["embedding_size"] = ("integer", pick(rng, [None, 3]))
        options["attention"] = ("word", pick(rng, ["dot", "additive", None]))
        options["begin"] = ("integer", 0)
        options["end"] = ("integer", 1)
        return options

    def of_loss(self):
        arguments, batch, *_ = self.given()
        rows = [self.rng.integers(2, self.net.output_size, self.rng.integers(0, 5)) for _ in range(batch)]
        arguments["targets"] = ("spelling", [row.tolist() for row in rows])
        arguments["loss"] = ("word", pick(self.rng, [None, gru_rs.CrossEntropy(label_smoothing=0.1)]))
        self.weighted(arguments, batch)
        return self.trained(arguments)

    def of_decode(self):
        arguments, *_ = self.given()
        arguments["beam_width"] = ("integer", int(self.rng.integers(1, 4)))
        arguments["length_penalty"] = ("number", pick(self.rng, [0.0, 0.6]))

        def decode(**given):
            # As many as are asked for are written: a huge number is no mistake, but no test either.
            return self.net.decode(**given, max_length=4)

        return decode, arguments, {"watched": [self.net]}

    def of_decode_so_many(self):
        x = self.source(0, 3)
        arguments = {"max_length": ("integer", 3), "beam_width": ("integer", 1)}
        return lambda **given: self.net.decode(x, **given), arguments, {"watched": [self.net]}
