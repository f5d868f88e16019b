"""Common mistakes in the exercises of notebook 09."""

import copy

import torch
import torch.nn.functional as F


def _go_on(keep=("net", "rule", "random"), copied=True, zero=True, more=0):
    """A run that saves and takes back only these things (09-5)."""
    def run(net, rule, x, y, steps, saved=None):
        if saved is not None:
            if "net" in keep:
                net.load_state_dict(saved["net"])
            if "rule" in keep:
                rule.load_state_dict(saved["rule"])
            if "rate" in keep:
                rule.param_groups[0]["lr"] = saved["rule"]["param_groups"][0]["lr"]
            if "velocity" in keep:
                rate = rule.param_groups[0]["lr"]
                rule.load_state_dict(saved["rule"])
                rule.param_groups[0]["lr"] = rate
            if "random" in keep:
                torch.set_rng_state(saved["random"])
        for _ in range(steps + more):
            if zero:
                rule.zero_grad()
            F.cross_entropy(net(x), y).backward()
            rule.step()
        made = {"net": net.state_dict(), "rule": rule.state_dict(),
                "random": torch.get_rng_state()}
        return copy.deepcopy(made) if copied else made
    return run


def _dict_of_net(net, rule, x, y, steps, saved=None):
    """Copies the dicts, but not the tensors in them."""
    made = _go_on(copied=False)(net, rule, x, y, steps, saved)
    return {name: dict(part) if isinstance(part, dict) else part for name, part in made.items()}


_TRAIN = "alexnet train --data imagenette --out /content/drive/MyDrive/mine"

WRONG = {
    "09-1": [
        {"paper": 0.018, "PyTorch": 0.0018},  # one step
        {"paper": 0.2, "PyTorch": 0.02},  # the step before the drop counted
        {"paper": 0.18, "PyTorch": 0.18},  # PyTorch's velocity taken for its step
        {"paper": 0.018, "PyTorch": 0.18},  # taken for each other
        {"paper": 0.18, "PyTorch": 0},  # it brakes, but does not stand still
    ],
    "09-2": [
        {"A": 0.9, "B": 0.99, "C": 0},  # the other way round
        {"A": 0, "B": 0.9, "C": 0.99},  # in the order of the panels
        {"A": 0.99, "B": 0, "C": 0.9},
        {"A": 0.9, "B": 0.9, "C": 0.9},
    ],
    "09-3": [
        {10: 0.9, 100: 0.9, 1000: 0.9},  # the usual one
        {10: 0.9, 100: 0.75, 1000: 0.5},  # the other way round
        {10: 0, 100: 0.75, 1000: 0.9},  # none where it is easy
        {10: 0.5, 100: 0.75, 1000: 0.99},  # the more, the better
        {10: 0.6, 100: 0.8, 1000: 0.9},  # not of the list
    ],
    "09-4": [
        "alexnet train --data imagenette --variant paper --epochs 70",  # no folder
        f"{_TRAIN} --epochs 70",  # ends with the session
        f"{_TRAIN} --epochs 70 --resume",  # does not start
        f"{_TRAIN} --epochs 90 --resume auto",  # too long
        f"{_TRAIN} --epochs 30 --resume auto",  # too short
        f"{_TRAIN} --resume auto",  # 90, by default
        f"{_TRAIN} --epochs 70 --resume auto --lr-scheduler 145",  # does not watch
        f"{_TRAIN} --epochs 70 --resume auto --variant 2012",
        f"{_TRAIN} --epochs 70 --resume auto --patience 5",  # no such option
        "alexnet train --data imagenette --epochs 70 --resume auto --out runs/mine",  # is lost
    ],
    "09-5": [
        _go_on(keep=()),  # begins anew
        _go_on(keep=("net", "random")),  # the weights alone
        _go_on(keep=("net", "rate", "random")),  # no velocities
        _go_on(keep=("net", "velocity", "random")),  # the first rate again
        _go_on(keep=("net", "rule")),  # other coins
        _go_on(keep=("rule", "random")),  # not the weights
        _go_on(copied=False),  # what is saved goes on with the run
        _dict_of_net,
        _go_on(zero=False),  # gradients pile up
        _go_on(more=1),  # a step too many
    ],
}
