"""Write training.json: weights step by step of PyTorch's optimizers, rates of its schedules, its CTC loss.

    python tests/golden/training.py            rewrite training.json beside this file
    python tests/golden/training.py --check    compute it again and compare with the committed file

Needs torch, but not gru_rs. Floats are written so that they read back with the same bits.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
SEED = 20261123
STEPS, SIZE = 8, 5
# In units of the largest number of a case: both sides round differently at every step.
TOLERANCE = {"float64": 1e-14, "float32": 2e-6}

PARTS = ("optimizers", "schedules", "ctc")
OPTIMIZERS = {
    "SGD": (torch.optim.SGD, {"lr": 0.1}),
    "SGD momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "SGD nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "Adam": (torch.optim.Adam, {"lr": 0.01}),
    "Adam decay": (torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.01}),
    "AdamW decay": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.3}),
}
LOSSES = [5.0, 4.0, 4.0, 3.9999, 3.5, 3.6, 3.6, 3.6, 3.6, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
# A loss must lie below the best times this. For the best losses below, best - 1e-4 * best rounds to another
# number.
THRESHOLD = 1.0 - 1e-4
PLATEAUS = {
    "plateau": ({"lr": 0.1, "factor": 0.5, "patience": 2, "min_lr": 0.01}, LOSSES),
    "plateau to its lowest rate": ({"lr": 0.1, "factor": 0.1, "patience": 0, "min_lr": 0.03}, LOSSES),
    "plateau of a rate below the lowest": ({"lr": 0.1, "factor": 0.5, "patience": 0, "min_lr": 0.5}, LOSSES),
    "plateau of steps too small to take": (
        {"lr": 3e-8, "factor": 0.5, "patience": 0, "min_lr": 0.0},
        LOSSES,
    ),
    "plateau on the threshold": (
        {"lr": 0.1, "factor": 0.5, "patience": 0, "min_lr": 0.0},
        [
            loss
            for best in (8.7, 6.7, 3.7)
            for loss in (best, best * THRESHOLD, math.nextafter(best * THRESHOLD, 0.0))
        ],
    ),
}


def optimizer_case(name, dtype, max_norm, scheduled=False):
    """The weights after each step along given gradients, clipped first, while the rate falls if scheduled."""
    kind, options = OPTIMIZERS[name]
    draws = torch.Generator().manual_seed(SEED)
    first = torch.randn(SIZE, generator=draws, dtype=torch.float64)
    gradients = torch.randn(STEPS, SIZE, generator=draws, dtype=torch.float64)
    weights = torch.nn.Parameter(first.to(dtype).clone())
    optimizer = kind([weights], **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS) if scheduled else None
    steps, norms, rates = [], [], []
    for gradient in gradients.to(dtype):
        rates.append(optimizer.param_groups[0]["lr"])
        weights.grad = gradient.clone()
        norms.append(float(torch.nn.utils.clip_grad_norm_([weights], max_norm)))
        optimizer.step()
        steps.append(weights.detach().double().tolist())
        if schedule:
            schedule.step()
    return {
        "optimizer": name.split()[0],
        "options": options,
        "max_norm": max_norm,
        "dtype": str(dtype).removeprefix("torch."),
        "first": first.to(dtype).double().tolist(),
        "gradients": gradients.to(dtype).double().tolist(),
        "norms": norms,
        "weights": steps,
    } | ({"rates": rates} if scheduled else {})


def fresh(lr):
    """An optimizer to be scheduled."""
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def plateau_case(options, losses):
    """The rate after each epoch."""
    options = dict(options)
    optimizer = fresh(options.pop("lr"))
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for loss in losses:
        plateau.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def cosine_case(warmup_steps):
    """The rate of each step: a straight rise to the highest, and the fall, which begins with it again."""
    schedulers = torch.optim.lr_scheduler
    optimizer = fresh(0.1)
    cosine = schedulers.CosineAnnealingLR(optimizer, T_max=20 - warmup_steps, eta_min=0.01)
    if warmup_steps:
        rise = schedulers.LinearLR(optimizer, start_factor=1 / warmup_steps, total_iters=warmup_steps - 1)
        cosine = schedulers.SequentialLR(optimizer, [rise, cosine], milestones=[warmup_steps])
    rates = []
    for _ in range(21):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    return {"lr": 0.1, "total_steps": 20, "warmup_steps": warmup_steps, "min_lr": 0.01, "rates": rates}


def schedule_cases():
    """The rates of each epoch or step."""
    return {
        **{
            name: options | {"losses": losses, "rates": plateau_case(options, losses)}
            for name, (options, losses) in PLATEAUS.items()
        },
        "cosine": cosine_case(warmup_steps=0),
        "cosine after a rise": cosine_case(warmup_steps=4),
    }


def ctc_case(dtype, blank, seed):
    """The mean loss of rows of some lengths, a target without labels among them, and its gradient."""
    draws = torch.Generator().manual_seed(SEED + seed)
    batch, steps, classes = 4, 9, 5
    scores = torch.randn(batch, steps, classes, generator=draws, dtype=torch.float64) * (1 + 3 * seed)
    scores = scores.to(dtype).requires_grad_()
    lengths = [9, 7, 9, 4]
    labels = [label for label in range(classes) if label != blank]
    targets = [[labels[0], labels[0], labels[3]], [labels[2]] * 3, [], labels]
    log_p = torch.log_softmax(scores, 2).transpose(0, 1)
    flat = torch.tensor([label for target in targets for label in target])
    counts = [len(target) for target in targets]
    loss = torch.nn.functional.ctc_loss(log_p, flat, lengths, counts, blank=blank, reduction="mean")
    loss.backward()
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "blank": blank,
        "scores": scores.detach().double().tolist(),
        "lengths": lengths,
        "targets": targets,
        "loss": float(loss.detach()),
        "gradient": scores.grad.double().tolist(),
    }


def generate():
    optimizers = {
        f"{name}, {dtype}, clipped to {max_norm}": optimizer_case(name, dtype, max_norm)
        for name in OPTIMIZERS
        for dtype in (torch.float32, torch.float64)
        for max_norm in (1.0, 1e6)
    }
    optimizers |= {
        f"{name}, {dtype}, scheduled": optimizer_case(name, dtype, 1e6, scheduled=True)
        for name in OPTIMIZERS
        for dtype in (torch.float32, torch.float64)
    }
    return {
        "about": "written by training.py; never edited by hand",
        "torch": torch.__version__,
        "tolerance": TOLERANCE,
        "optimizers": optimizers,
        "schedules": schedule_cases(),
        "ctc": {
            f"{dtype}, blank {blank}, {seed}": ctc_case(dtype, blank, seed)
            for dtype in (torch.float32, torch.float64)
            for blank in (0, 4)
            for seed in range(2)
        },
    }


def numbers(value):
    """All numbers of a nested value in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed file and write nothing"
    )
    path, found = HERE / "training.json", generate()
    if not parser.parse_args().check:
        path.write_text(json.dumps(found) + "\n")
    committed = json.loads(path.read_text())
    problems = []
    for part in PARTS:
        if set(committed[part]) != set(found[part]):
            problems.append(f"{part}: other cases")
            continue
        for name, case in found[part].items():
            old, new = numbers(committed[part][name]), numbers(case)
            allowed = TOLERANCE[case.get("dtype", "float64")] * max(map(abs, new))
            if len(old) != len(new) or max(abs(a - b) for a, b in zip(old, new, strict=True)) > allowed:
                problems.append(f"{part}: {name} differs")
    print("\n".join(problems) or f"{sum(len(found[part]) for part in PARTS)} cases agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
