"""Optimizers, losses, schedules and functions, and the calls that they have."""

import gru_rs
import numpy as np
from layers import Session, pick


class Rules(Session):
    """Optimizers, schedules, losses."""

    def prepare(self):
        self.net = gru_rs.GRU(2, 3, seed=1, dtype=self.dtype)
        self.rule = gru_rs.Adam(0.1)
        self.twin, self.twin_net = gru_rs.Adam(0.1), gru_rs.GRU(2, 3, seed=1, dtype=self.dtype)
        self.plateau = gru_rs.PlateauSchedule(0.1, patience=1)

    def of_sgd(self):
        momentum = pick(self.rng, [0.0, 0.9])
        arguments = {
            "lr": ("number", 0.1),
            "momentum": ("number", momentum),
            "nesterov": ("flag", momentum > 0),
            "weight_decay": ("number", 0.1),
        }
        return lambda **given: repr(gru_rs.SGD(**given)), arguments, {}

    def of_adam(self):
        arguments = {
            "lr": ("number", 0.1),
            "betas": ("numbers", (0.9, 0.99)),
            "eps": ("number", 1e-8),
            "weight_decay": ("number", 0.1),
        }
        kind = pick(self.rng, [gru_rs.Adam, gru_rs.AdamW])
        return lambda **given: repr(kind(**given)), arguments, {}

    def of_rate(self):
        def write(lr):
            self.rule.lr = lr
            self.rule.lr = 0.1

        return write, {"lr": ("number", 0.1)}, {"watched": [self.rule], "pure": False}

    def of_step(self):
        """A step that was refused is none: the twin, which never saw it, goes the same way."""

        def both(grads):
            self.rule.step(self.net, grads)
            self.twin.step(self.twin_net, grads)

        def same():
            flat = np.ones(self.net.flat.size, self.dtype)
            both(flat)
            assert self.net.flat.tobytes() == self.twin_net.flat.tobytes()

        grads = self.floats(self.net.flat.size)
        more = {"watched": [self.net], "pure": False, "after": same}
        return both, {"grads": ("array", grads)}, more

    def of_clip(self):
        grads = self.floats(9)
        arguments = {"gradients": ("out", grads), "max_norm": ("number", 0.5)}
        return gru_rs.clip_grad_norm, arguments, {"pure": False, "written": {"gradients"}}

    def of_cosine(self):
        arguments = {
            "lr": ("number", 0.1),
            "total_steps": ("integer", 50),
            "warmup_steps": ("integer", 5),
            "min_lr": ("number", 0.01),
        }

        def rates(**given):
            schedule = gru_rs.CosineSchedule(**given)
            found = [schedule(step) for step in (0, 1, 5, 30, 49, 50, 2**62)]
            assert np.isfinite(found).all()
            assert min(found) >= 0
            return found

        return rates, arguments, {}

    def of_cosine_step(self):
        return gru_rs.CosineSchedule(0.1, 50), {"step": ("integer", 5)}, {}

    def of_plateau(self):
        arguments = {
            "lr": ("number", 0.1),
            "factor": ("number", 0.5),
            "patience": ("integer", 1),
            "min_lr": ("number", 0.01),
        }

        def rates(**given):
            schedule = gru_rs.PlateauSchedule(**given)
            return [schedule.step(1.0) for _ in range(5)]

        return rates, arguments, {}

    def of_plateau_step(self):
        return self.plateau.step, {"loss": ("number", 0.5)}, {"pure": False}

    def of_cross_entropy(self):
        arguments = {"class_weights": ("array", np.ones(3)), "label_smoothing": ("number", 0.1)}
        return lambda **given: repr(gru_rs.CrossEntropy(**given)), arguments, {}

    def of_quantiles(self):
        levels = np.array([0.1, 0.5])
        return lambda levels: repr(gru_rs.QuantileError(levels)), {"levels": ("array", levels)}, {}

    def of_ctc(self):
        return lambda **given: repr(gru_rs.CTC(**given)), {"blank": ("integer", 1)}, {}


class Functions(Session):
    """What is no method, and classes that users do not make."""

    def prepare(self):
        pass

    def of_ctc_loss(self):
        seq, batch = self.sizes()
        seq += 6
        scores = self.floats(batch, seq, 5)
        labels = [self.rng.permutation(4)[:2] + 1 for _ in range(batch)]
        arguments = {"scores": ("array", scores), "targets": ("spelling", [row.tolist() for row in labels])}
        if self.rng.random() < 0.5:
            arguments["lengths"] = ("array", self.ints(5, seq + 1, batch))
        arguments["blank"] = ("integer", 0)
        arguments["sample_weight"] = ("array", self.rng.random(batch).astype(self.dtype))

        def shapes(result):
            return [(np.array(result[0]), (), np.float64), (result[1], scores.shape, self.dtype)]

        return gru_rs.ctc_loss, arguments, {"shapes": shapes}

    def of_threads(self):
        def set_and_back(num_threads):
            before = gru_rs.get_num_threads()
            gru_rs.set_num_threads(num_threads)
            gru_rs.set_num_threads(before)

        return set_and_back, {"num_threads": ("integer", 2)}, {}

    def of_thread_block(self):
        def block(num_threads):
            with gru_rs.num_threads(num_threads):
                pass

        return block, {"num_threads": ("integer", 2)}, {}

    def of_paddle(self):
        h, i = (int(n) for n in self.rng.integers(1, 5, 2))
        arguments = {
            "w_ih": ("array", self.floats(i, 3 * h)),
            "weight": ("array", self.floats(h, 3 * h)),
            "b_ih": ("array", self.floats(3 * h)),
            "bias": ("array", self.floats(1, 3 * h)),
            "origin_mode": ("flag", True),
        }
        return gru_rs.from_paddle, arguments, {}

    def of_haiku(self):
        w = {"w_i": self.floats(2, 9), "w_h": self.floats(3, 9), "b": self.floats(9)}
        return gru_rs.from_haiku, {"params": ("table", w)}, {}

    def of_arrays(self):
        w = {"Wx": self.floats(9, 2), "Wh": self.floats(9, 3), "b": self.floats(9), "bhn": self.floats(3)}
        return gru_rs.from_arrays, {"framework": ("word", "mlx"), "params": ("table", w)}, {}

    def of_classes(self):
        kind = pick(self.rng, [gru_rs.Stream, gru_rs.Tape, gru_rs.CellTape, gru_rs.Grads])

        def make():
            try:
                kind()
            except TypeError:
                return
            raise AssertionError("was made")

        return make, {}, {}

    def of_model_stream(self):
        model = gru_rs.Model(2, 3, 4, seed=1, dtype=self.dtype)
        return (
            lambda **given: gru_rs.ModelStream(model, **given).batch_size,
            {"batch_size": ("integer", 2)},
            {},
        )

    def of_config(self):
        return lambda: bool(gru_rs.show_config(mode="dicts")), {}, {}
