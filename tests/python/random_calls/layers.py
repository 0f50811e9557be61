"""Layers, cells and streams with random options, and the calls that they have, each with right arguments."""

import copy
import pickle

import gru_rs
import numpy as np


def pick(rng, values):
    return values[rng.integers(len(values))]


def as_pair(states):
    return tuple(states) if len(states) > 1 else states[0]


def parts(states):
    return states if isinstance(states, tuple) else (states,)


class Session:
    """Something of gru_rs, and calls of it."""

    def __init__(self, rng):
        self.rng = rng
        self.dtype = pick(rng, [np.float32, np.float32, np.float64])
        self.prepare()

    def call(self):
        """A name, a function, its arguments with their kinds, and what else is known of a call."""
        name = pick(self.rng, [name for name in dir(self) if name.startswith("of_")])
        function, arguments, known = getattr(self, name)()
        return f"{type(self).__name__}.{name}", function, arguments, known

    def floats(self, *shape):
        return self.rng.normal(size=shape).astype(self.dtype)

    def ints(self, low, high, *shape):
        kind = pick(self.rng, ["i8", "u4", "i4", "u1", ">i8"])
        return self.rng.integers(low, high, shape).astype(kind)

    def sizes(self):
        """Steps and rows."""
        return (int(n) for n in self.rng.integers(0, 6, 2))

    def lengths(self, batch, seq):
        return {} if self.rng.random() < 0.5 else {"lengths": ("array", self.ints(0, seq + 1, batch))}

    def made(self, kind, options):
        """A call of a constructor, whose network then has to work."""

        def make(**given):
            network = kind(**given)
            assert network.flat.size < 1e8, "allocated what it could"
            assert type(network)(**network.__getstate__()["arguments"]).flat.size == network.flat.size
            repr(network)

        return make, options, {}


class Networks(Session):
    """What all networks have."""

    def of_set_flat(self):
        flat = self.floats(self.net.flat.size) * 0.3
        return self.net.set_flat, {"flat": ("array", flat)}, {"watched": [self.net], "pure": False}

    def of_load_state_dict(self):
        found = {name: self.floats(*v.shape) * 0.3 for name, v in self.net.params.items()}
        more = {"watched": [self.net], "pure": False}
        return self.net.load_state_dict, {"state_dict": ("table", found)}, more

    def of_quantize(self):
        arguments = {"dtype": ("word", pick(self.rng, ["int8", "f16", "float16", "bf16", "bfloat16"]))}
        # Weights may have been set to what cannot be quantized.
        self.net.set_flat(self.floats(self.net.flat.size) * 0.3)

        def quantize(**given):
            return self.net.quantize(**given).flat

        return quantize, arguments, {"watched": [self.net]}

    def of_copies(self):
        def copies():
            for one in (copy.deepcopy(self.net), pickle.loads(pickle.dumps(self.net))):
                assert repr(one) == repr(self.net)
                assert one.flat.tobytes() == self.net.flat.tobytes()

        return copies, {}, {"watched": [self.net]}

    def of_step(self):
        rule = pick(self.rng, [gru_rs.SGD, gru_rs.Adam, gru_rs.AdamW])(0.01)
        grads = self.floats(self.net.flat.size)
        more = {"watched": [self.net, rule], "pure": False}
        return lambda grads: rule.step(self.net, grads), {"grads": ("array", grads)}, more

    def of_step_of_no_layer(self):
        grads = self.floats(self.net.flat.size)
        arguments = {"layer": ("word", self.net), "grads": ("array", grads)}
        return gru_rs.SGD(0.01).step, arguments, {"watched": [self.net], "pure": False}


class Recurrent(Networks):
    functions = ("sigmoid", "tanh", "relu", "hard_sigmoid", "hard_sigmoid_0.2")

    def plain(self):
        """Options of layers and cells."""
        rng = self.rng
        options = {
            "input_size": ("integer", int(rng.integers(1, 5))),
            "hidden_size": ("integer", int(rng.integers(1, 10))),
            "bias": ("flag", bool(rng.integers(2))),
            "recurrent_activation": ("word", pick(rng, self.functions[:1] * 3 + self.functions[3:])),
            "activation": ("word", pick(rng, ["tanh", "tanh", "hard_sigmoid"])),
            "clip": ("number", pick(rng, [None, 3.0])),
            "dtype": ("dtype", self.dtype),
            "seed": ("integer", int(rng.integers(100))),
        }
        if not self.lstm:
            options["reset_after"] = ("flag", bool(rng.integers(2)))
        return options

    def state(self, *shape):
        return as_pair([self.floats(*shape) for _ in range(1 + self.lstm)])


class Layers(Recurrent):
    def prepare(self):
        self.lstm = bool(self.rng.integers(2))
        self.kind = gru_rs.LSTM if self.lstm else gru_rs.GRU
        self.net = self.kind(**{name: right for name, (_, right) in self.options().items()})
        self.one_way = self.kind(3, 4, 2, seed=1, dtype=self.dtype, batch_first=bool(self.rng.integers(2)))
        self.rows = pick(self.rng, [None, 1, 3])
        self.stream = self.one_way.stream(self.rows)

    def options(self):
        rng, options = self.rng, self.plain()
        layers = int(rng.integers(1, 3))
        return options | {
            "num_layers": ("integer", layers),
            "batch_first": ("flag", bool(rng.integers(2))),
            "dropout": ("number", pick(rng, [0.0, 0.5]) if layers > 1 else 0.0),
            "bidirectional": ("flag", bool(rng.integers(2))),
        }

    def of_constructor(self):
        return self.made(self.kind, self.options())

    def given(self):
        net, rng = self.net, self.rng
        seq, batch = self.sizes()
        rows = [] if rng.random() < 0.3 else [batch]
        axes = [*rows, seq] if net.batch_first else [seq, *rows]
        scans, width = net.num_layers * (1 + net.bidirectional), net.hidden_size
        arguments = {"x": ("array", self.floats(*axes, net.input_size))}
        if rng.random() < 0.6:
            arguments["h0"] = ("states", self.state(scans, *rows, width))
        if rows:
            arguments |= self.lengths(batch, seq)
        if rng.random() < 0.4:
            arguments["resets"] = ("array", rng.random(axes) < 0.2)
        y, h = (*axes, width * (1 + net.bidirectional)), (scans, *rows, width)
        return arguments, y, h

    def of_call(self):
        arguments, y, h = self.given()

        def shapes(result):
            return [(result[0], y, self.dtype), *((state, h, self.dtype) for state in parts(result[1]))]

        return self.net, arguments, {"watched": [self.net], "shapes": shapes}

    def of_forward(self):
        arguments, y, h = self.given()
        arguments["seed"] = ("integer", int(self.rng.integers(100)))
        arguments["memory"] = ("word", pick(self.rng, ["full", "low"]))

        def forward(**given):
            result, last, tape = self.net.forward(**given)
            grads = tape.backward(result, last)
            return result, last, grads.x, grads.h0, grads.flat

        def shapes(result):
            return [(result[0], y, self.dtype), *((state, h, self.dtype) for state in parts(result[3]))]

        return forward, arguments, {"watched": [self.net], "shapes": shapes}

    def of_draw(self):
        """Without a seed the layer's own generator gives one, unless the call is refused."""
        arguments, _, _ = self.given()
        return self.net.forward, arguments, {"watched": [self.net], "pure": False}

    def of_backward(self):
        arguments, y, h = self.given()
        tape = self.net.forward(**{name: right for name, (_, right) in arguments.items()})[-1]
        grads = {"dy": ("array", self.floats(*y)), "dh_n": ("states", self.state(*h))}

        def shapes(result):
            return [
                (result.x, arguments["x"][1].shape, self.dtype),
                (result.flat, self.net.flat.shape, self.dtype),
            ]

        # A tape is good until its one backward.
        more = {"watched": [self.net], "shapes": shapes, "pure": False, "after": tape.backward}
        return tape.backward, grads, more

    def of_stream(self):
        return self.one_way.stream, {"batch_size": ("integer", 3)}, {"watched": [self.one_way]}

    def chunk(self, width):
        rows = [] if self.stream.batch_size is None else [self.stream.batch_size]
        steps = [] if self.rng.random() < 0.5 else [int(self.rng.integers(0, 5))]
        axes = [*rows, *steps] if self.one_way.batch_first else [*steps, *rows]
        return self.floats(*axes, width), (*axes, 4)

    def of_stream_call(self):
        x, shape = self.chunk(3)
        arguments = {"x_t": ("array", x)}
        if self.rng.random() < 0.5:
            arguments["out"] = ("out", np.zeros(shape, self.dtype))
        more = {"watched": [self.stream], "pure": False, "written": {"out"}}
        return self.stream, arguments, more | {"shapes": lambda y: [(y, shape, self.dtype)]}

    def of_stream_overlap(self):
        """Out and x in one piece of memory."""
        x, _ = self.chunk(4)
        both = np.zeros(x.size + 8, self.dtype)
        out = both[: x.size].reshape(x.shape)
        x = both[3 : 3 + x.size].reshape(x.shape)[..., :3]

        def step(x_t):
            try:
                self.stream(x_t, out=out)
            except ValueError as error:
                if "out" not in str(error) and "x_t" not in str(error):
                    raise

        more = {"watched": [self.stream], "pure": False, "written": {"x_t"}}
        return step, {"x_t": ("array", x)}, more

    def of_stream_reset(self):
        if self.stream.batch_size is None:
            return self.stream.reset, {}, {"pure": False}
        mask = self.rng.random(self.stream.batch_size) < 0.5
        return self.stream.reset, {"mask": ("array", mask)}, {"watched": [self.stream], "pure": False}

    def of_stream_state(self):
        rows = [] if self.stream.batch_size is None else [self.stream.batch_size]

        def write(state):
            self.stream.state = state

        more = {"watched": [self.stream], "pure": False}
        return write, {"state": ("states", self.state(2, *rows, 4))}, more

    def of_stream_rows(self):
        if self.stream.batch_size is None:
            return self.stream.clone, {}, {"watched": [self.stream]}
        more = {"watched": [self.stream], "pure": False}
        if self.stream.batch_size > 1 and self.rng.random() < 0.6:
            row = int(self.rng.integers(self.stream.batch_size))
            return self.stream.leave, {"row": ("integer", row)}, more
        return self.stream.join, {"state": ("states", self.state(2, 4))}, more


class Cells(Recurrent):
    def prepare(self):
        self.lstm = bool(self.rng.integers(2))
        self.kind = gru_rs.LSTMCell if self.lstm else gru_rs.GRUCell
        self.net = self.kind(**{name: right for name, (_, right) in self.plain().items()})

    def of_constructor(self):
        return self.made(self.kind, self.plain())

    def given(self):
        rows = pick(self.rng, [[], [int(self.rng.integers(0, 4))]])
        shape = (*rows, self.net.hidden_size)
        arguments = {"x": ("array", self.floats(*rows, self.net.input_size))}
        if self.rng.random() < 0.7:
            arguments["h"] = ("states", self.state(*shape))
        return arguments, shape

    def of_call(self):
        arguments, shape = self.given()

        def shapes(result):
            return [(state, shape, self.dtype) for state in parts(result)]

        return self.net, arguments, {"watched": [self.net], "shapes": shapes}

    def of_call_out(self):
        arguments, shape = self.given()
        arguments["out"] = ("states", self.state(*shape))
        return self.net, arguments, {"watched": [self.net], "pure": False, "written": {"out"}}

    def of_backward(self):
        arguments, shape = self.given()
        _, tape = self.net.forward(**{name: right for name, (_, right) in arguments.items()})
        more = {"watched": [self.net], "pure": False, "after": tape.backward}
        return tape.backward, {"dh": ("states", self.state(*shape))}, more

    def of_forward(self):
        arguments, _ = self.given()
        return lambda **given: self.net.forward(**given)[0], arguments, {"watched": [self.net]}
