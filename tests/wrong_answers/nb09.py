"""Common mistakes in the exercises of notebook 09."""

import copy

import torch
import torch.nn.functional as F


def _step(w, v, g, lr, momentum=0.9, decay=0.0005):
    return momentum * v - decay * lr * w - lr * g


def _plateau(errors, patience, drops=3, first=1, again=True, most=True):
    best, waited, found = float("inf"), 0, []
    for epoch, error in enumerate(errors, first):
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited >= patience and (len(found) < drops or not most):
            found.append(epoch)
            waited = 0 if again else waited
    return found


def _go_on(keep=("net", "rule", "random"), copied=True, zero=True, more=0):
    """A run that saves and takes back only these things (09-6)."""
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


WRONG = {
    "09-1": [
        lambda w, v, g, lr, m=0.9, d=0.0005: (w - lr * g, m * v - lr * g),  # velocity not used
        lambda w, v, g, lr, m=0.9, d=0.0005: (_step(w, v, g, lr, m, d), w),  # order of the results
        lambda w, v, g, lr, m=0.9, d=0.0005: (w + lr * g, m * v + lr * g),  # uphill
        lambda w, v, g, lr, m=0.9, d=0.0005: (w - lr * (m * v + g), m * v + g),  # PyTorch's
        lambda w, v, g, lr, m=0.9, d=0.0005: (w + m * v - lr * g, m * v - lr * g),  # no decay
        lambda w, v, g, lr, m=0.9, d=0.0005: (w + m * v - d * w - lr * g,  # decay without rate
                                              m * v - d * w - lr * g),
        lambda w, v, g, lr, m=0.9, d=0.0005: (w + _step(w, v, g, lr), _step(w, v, g, lr)),  # fixed
    ],
    "09-2": [lambda m: 1 + m, lambda m: 1 / m, lambda m: 10, lambda m: 1 - m,
             lambda m: sum(m ** k for k in range(100))],
    "09-3": [
        lambda images, cycles, speed: images / speed / 86400,  # one cycle
        lambda images, cycles, speed: images * cycles / speed / 3600,  # hours
        lambda images, cycles, speed: images * cycles / speed,  # seconds
        lambda images, cycles, speed: images * cycles * speed / 86400,
        lambda images, cycles, speed: images * cycles / speed / 86400 / 2,  # two cards again
    ],
    "09-4": [
        lambda errors, patience, drops=3: _plateau(errors, patience, first=0),  # from 0
        lambda errors, patience, drops=3: _plateau(errors, patience, again=False),
        lambda errors, patience, drops=3: _plateau(errors, patience, most=False),
        lambda errors, patience, drops=3: _plateau(errors, patience + 1),
        lambda errors, patience, drops=3: [  # compares with the epoch before only
            i + 1 for i in range(1, len(errors)) if errors[i] >= errors[i - 1]][:drops],
        lambda errors, patience, drops=3: len(_plateau(errors, patience)),
    ],
    "09-5": [lambda old, new: new / old, lambda old, new: 10, lambda old, new: old - new,
             lambda old, new: 1],
    "09-6": [
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
