"""Exercises of notebook 15: AlexNet from an empty cell, and a claim of one's own."""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from alexnet_lib.augment import ten_view_places
from alexnet_lib.course import capstone
from alexnet_lib.course.exercises import exercise, expect, filled, number
from alexnet_lib.models import AlexNet
from alexnet_lib.optim import PaperSGD
from alexnet_lib.probe import probe
from alexnet_lib.research.ledger import interval

NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
PAPER = (96, 256, 384, 384, 256), (4096, 4096), [55, 27, 13, 13, 13], 60_965_224
SMALL = (32, 64, 96, 96, 64), (256, 256), [24, 11, 5, 5, 5], 286_922


def _layers(net) -> tuple[list, list]:
    expect(isinstance(net, nn.Module), "MyAlexNet(10) should be an nn.Module.")
    return tuple([m for m in net.modules() if isinstance(m, kind)] for kind in (nn.Conv2d,
                                                                                nn.Linear))


def _outputs(net, modules, x) -> list:
    """What these modules give for x, and the net's own output, last."""
    with torch.no_grad(), probe({module: module for module in modules},
                                lambda layer, given, out: out.detach()) as found:
        last = net(x)
    expect(len(found) == len(modules), "Some of your layers are never used in forward.")
    return [found[module] for module in modules] + [last]


@exercise("15-1", "Start with nn.Conv2d(3, 96, 11, stride=4) and go on from there: five "
                  "convolutions, three fully connected layers.")
def the_net(answer):
    small = _sizes(answer(10, small=True), 24, 10, *SMALL)
    fresh = copy.deepcopy(small)
    x = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 60
    _columns_norms_dropout(small, x)
    _columns_by_gradient(fresh, x / 60)
    _like(small, capstone.MyAlexNet(10, small=True))  # in a moment, and then the same at full size
    quiet = answer(10, small=True, dropout=0.0).train()
    with torch.no_grad():
        expect(torch.equal(quiet(x), quiet(x)), "With dropout=0.0, training mode should give the "
               "same answer twice.")
    loss = _overfits(fresh)
    _like(_sizes(answer(1000), 227, 1000, *PAPER), AlexNet(1000, variant="paper", dropout=0.0))
    return (f"60,965,224 parameters, 96% of them in the three fully connected layers. The small "
            f"one memorized 16 pictures: its loss fell to {loss:.2f}.")


def _sizes(net, size, classes, kernels, hidden, sides, parameters):
    """The net, if its layers, sizes and parameters are those of the table."""
    which = "The small network" if size == 24 else "The paper's network"
    convs, fulls = _layers(net)
    expect(getattr(net, "size", None) == size, f"{which} should have an attribute size: {size}.")
    expect(len(convs) == 5 and len(fulls) == 3,
           f"{which} should have five nn.Conv2d and three nn.Linear, in order.")
    expect([c.out_channels for c in convs] == list(kernels), f"{which}: count the kernels again.")
    expect([c.groups for c in convs] == [1, 2, 1, 2, 2],
           "Which convolutions see only their own column? Those need groups=2.")
    expect([f.out_features for f in fulls] == [*hidden, classes],
           f"{which}: {hidden[0]}, {hidden[1]}, and the classes.")
    net.cpu().eval()
    *maps, out = _outputs(net, convs, torch.randn(2, 3, size, size))
    expect([m.shape[-1] for m in maps] == sides,
           f"{which}: the convolutions should give maps of {', '.join(map(str, sides))} pixels; "
           f"yours give {', '.join(str(m.shape[-1]) for m in maps)}. Look at padding and pooling.")
    expect(tuple(out.shape) == (2, classes), f"Two images should give (2, {classes}).")
    expect(bool((out < 0).any()), "The output should be logits: no softmax, no ReLU after fc8.")
    total = sum(p.numel() for p in net.parameters())
    expect(total == parameters, f"{which} should have {parameters:,} parameters; yours has "
           f"{total:,}.")
    return net


def _columns_norms_dropout(net, x) -> None:
    """What the sizes do not show."""
    convs, fulls = _layers(net)
    first, border = (conv.out_channels // 2 for conv in convs[:2])
    with torch.no_grad():
        for layer in [*convs, *fulls]:
            layer.bias.zero_()
            layer.weight.normal_(std=(2 / layer.weight[0].numel()) ** 0.5)
    second, third, last = _outputs(net, [convs[1], convs[2]], x)
    doubled = _outputs(net, [convs[1]], 2 * x)[0]
    expect(not torch.allclose(doubled, 2 * second, rtol=1e-3),
           "Without biases, a network of convolutions and ReLUs doubles when its input doubles, "
           "and so does yours: there is no response normalization after conv1.")
    again = _outputs(net, [convs[2]], 2 * x)[0]
    with torch.no_grad():
        convs[0].weight[first:] *= 3  # the second column's kernels
    half = _outputs(net, [convs[1]], x)[0]
    expect(not torch.equal(half[:, border:], second[:, border:]), "conv2 does not see conv1.")
    expect(torch.allclose(half[:, :border], second[:, :border], rtol=1e-4, atol=1e-4),
           "A change in column 2 reaches column 1 before conv3. Does your normalization look "
           "across the border between the columns?")
    expect(not torch.allclose(again, 2 * third, rtol=1e-3), "And after conv2?")
    with torch.no_grad():
        convs[0].weight[first:] /= 3
    expect(torch.allclose(_outputs(net, [convs[1]], x)[-1], last, atol=1e-2),
           "In evaluation mode the same image must give the same answer.")
    _dropout(net, fulls, x)


def _dropout(net, fulls, x) -> None:
    """What each fully connected layer receives in training: half of the hidden units."""
    with torch.no_grad(), probe({layer: layer for layer in fulls},
                                lambda layer, inputs, out: inputs[0].detach()) as given:
        net.eval()(x)
        whole = given[fulls[0]]
        out = net.train()(x)
        expect(not torch.allclose(out, net(x)),
               "In training mode, dropout should make each pass different.")
        out = net(x)
    where = "Dropout goes after the ReLUs of fc6 and fc7, and nowhere else: "
    expect(torch.equal(given[fulls[0]], whole), where + "what fc6 receives changes in training.")
    with torch.no_grad():
        for name, layer, after in zip(("fc7", "fc8"), fulls, fulls[1:]):  # noqa: B905
            loud = layer(given[layer]).relu() > 0
            share = float((given[after][loud] == 0).float().mean())
            expect(0.4 < share < 0.6, where + f"of the units that {name} could hear, {share:.0%} "
                   "are silent in training; it should be half.")
        expect(torch.allclose(out, fulls[2](given[fulls[2]]), atol=1e-4),
               where + "what fc8 gives is the output.")


def _like(net, twin) -> None:
    """Layer by layer what a right net gives with the learner's weights."""
    layers, twins = sum(_layers(net), []), sum(_layers(twin), [])
    with torch.no_grad():
        for layer in layers:
            layer.weight.normal_(std=(2 / layer.weight[0].numel()) ** 0.5)
    for mine, theirs in zip(layers, twins, strict=True):
        theirs.load_state_dict(mine.state_dict())
    x = torch.randn(1, 3, net.size, net.size, generator=torch.Generator().manual_seed(0)) * 60
    given, right = _outputs(net.eval(), layers, x), _outputs(twin.eval(), twins, x)
    for i in range(1, 8):
        loudest = float(right[i].abs().max())
        expect(torch.allclose(given[i], right[i], rtol=1e-3, atol=1e-3 * loudest),
               f"With your weights the right network gives something else in {NAMES[i]}. Look at "
               f"what is between {NAMES[i - 1]} and {NAMES[i]}.")
    expect({m.p for m in net.modules() if isinstance(m, nn.Dropout)} == {0.5},
           "Dropout silences with probability 0.5.")


def _columns_by_gradient(net, x) -> None:
    """On which column of conv1 a map of conv2, and one of conv3, depends."""
    convs, _ = _layers(net)
    with probe({conv: conv for conv in convs}) as found:
        net.eval()(x)
    expect(found[convs[2]].requires_grad, "No gradient leaves your network: is it under no_grad?")
    for layer, name, sees in ((1, "conv2", False), (2, "conv3", True)):
        out = found[convs[layer]]
        slope, = torch.autograd.grad(out[:, 0].sum(), found[convs[0]], retain_graph=True,
                                     allow_unused=True)
        expect(slope is not None and bool(slope[:, :16].any()),
               f"No gradient goes from {name} to conv1: what cuts it? detach, .data, no_grad?")
        expect(bool(slope[:, 16:].any()) == sees, f"In the small network, column 1 of {name} "
               f"should {'' if sees else 'not '}depend on column 2 of conv1.")


def _overfits(net) -> float:
    """The loss after 60 steps on 16 pictures, without dropout; a hint where it has not fallen."""
    from alexnet_lib.datasets import shapes
    images, labels = shapes.render(0, 16, 32)
    x = (torch.from_numpy(images[:, 4:28, 4:28]).permute(0, 3, 1, 2).float() - 120) / 58
    y = torch.as_tensor(labels).long()
    net.eval()
    steps = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        loss = functional.cross_entropy(net(x), y)
        net.zero_grad()
        loss.backward()
        stuck = [name for name, layer in zip(NAMES, sum(_layers(net), []), strict=True)
                 if layer.weight.grad is None or not bool(layer.weight.grad.any())]
        expect(not stuck, f"No gradient reaches {', '.join(stuck)}.")
        steps.step()
    with torch.no_grad():
        loss = float(functional.cross_entropy(net(x), y))
    expect(loss < 1, f"Sixty steps of Adam on 16 pictures, and the loss of the small network is "
           f"{loss:.2f}; guessing has 2.30. How large are your initial weights?")
    return loss


@exercise("15-2", "Keep v in self.state[w], one for each parameter. First the new v: 0.9 v, minus "
                  "0.0005 lr w, minus lr times the gradient. Then add v to w, in place.")
def the_rule(answer):
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(shape, generator=generator) for shape in ((3, 2), (4,), (2,))]
    mine, theirs = ([w.clone().requires_grad_() for w in given] for _ in range(2))
    optimizers = answer(mine, lr=0.1), PaperSGD(theirs, lr=0.1)
    expect(isinstance(optimizers[0], torch.optim.Optimizer),
           "MySGD(...) should be a torch.optim.Optimizer.")
    for step, lr in enumerate((0.1, 0.1, 0.01, 0.01)):
        for one, two in list(zip(mine, theirs, strict=True))[:2]:  # no gradient for the third
            one.grad = torch.randn(one.shape, generator=generator)
            two.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        if step == 0:
            expect(not any(torch.equal(w, old) for w, old in zip(mine[:2], given, strict=False)),
                   "The weights have not changed: change them in place, with w.add_(...).")
            expect(_alike(mine, theirs), "Not even the first step leads where the paper's rule "
                   "does. v starts at 0, and the decay is 0.0005 times lr times w.")
    expect(_alike(mine, theirs), "After four steps, with lr lowered between the second and the "
           "third, the weights are not where the paper's rule leads. Is lr inside of v, and read "
           "from param_groups at each step? Does each parameter keep its own v?")
    return "The rule of section 5, to the last digit, and any PyTorch program can use it."


def _alike(mine, theirs) -> bool:
    return all(torch.allclose(one, two, atol=1e-6) for one, two in zip(mine, theirs, strict=True))


def _shapes(first: int, last: int, size: int = 32, seed: int = 77):
    """Drawn pictures that no notebook has shown: (images, labels) as `capstone.tensors` has them.
    """
    from alexnet_lib.datasets import shapes
    images, labels = shapes.render(first, last, size, seed=seed)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


@exercise("15-3", "For each batch: a random crop, mirrored or not, prepare, logits, loss, "
                  "zero_grad, backward, step. Keep the loss. Make the optimizer before the "
                  "loop: it holds the velocities.")
def the_training(answer):
    images, labels = _shapes(0, TRAINED_ON)
    torch.manual_seed(0)
    net = capstone.MyAlexNet(10, small=True, dropout=0.0)
    before, pictures = copy.deepcopy(net), images.clone()
    losses = answer(net, images, labels, 5)
    expect(isinstance(losses, (list, tuple)), "Return a list: the loss of each step.")
    losses = [number(loss) for loss in losses]
    expect(torch.equal(images, pictures), "Your training has changed the images it was given.")
    expect(len(losses) >= 5, "Five epochs make at least five steps, and each has a loss.")
    expect(np.isfinite(losses).all(), "The loss became infinite: the learning rate is too high.")
    expect(abs(losses[0] - math.log(10)) < 1.5, "The first loss should be that of the untrained "
           "network, about ln 10: take it before the update.")
    expect(any(not torch.equal(p, q.to(p.device)) for p, q in zip(
        net.parameters(), before.parameters(), strict=True)), "The weights have not changed.")
    expect(len(losses) >= 200, f"You made {len(losses)} steps. The loss stays on its plateau for "
           "the first two hundred or so: take smaller batches.")
    error = _error(net, *_shapes(5000, 5500))
    expect(error < BOUND, f"On 500 pictures that it had never seen, your network got {error:.0%} "
           f"wrong. Below {BOUND:.0%} we'd believe that it learned; guessing gets 90%. Do images "
           "and labels still belong together after shuffling? Is the optimizer made only once?")
    return f"Error on 500 pictures that it had never seen: {error:.0%}."


TRAINED_ON, BOUND = 1500, 0.7


@torch.no_grad()
def _error(net, images, labels) -> float:
    """The share of center crops that the net gets wrong."""
    edge = (images.shape[-1] - net.size) // 2
    crops = images[:, :, edge:edge + net.size, edge:edge + net.size]
    return float((net.eval()(capstone.prepare(crops)).argmax(1).cpu() != labels).float().mean())


class _Judge(nn.Module):
    """A net that answers by what it finds in its crop, other in each crop; sure of itself or not.

    In training mode it is always wrong.
    """

    size = 24

    def forward(self, x):
        expect(tuple(x.shape[-2:]) == (24, 24), "The network should get squares of 24 pixels.")
        expect(not torch.is_grad_enabled(), "A test needs no gradients: use torch.no_grad().")
        seen = torch.cat([x[:, :, 3, 2], x[:, :, 20, 22], x[:, :, 14, 14]], 1)
        logits = seen * torch.linspace(1, 4, seen.shape[1], device=x.device)
        return logits - 99 * functional.one_hot(logits.argmax(1), 9) if self.training else logits


@exercise("15-4", "Call net.eval() first. Four corners and the center, each also mirrored: sum "
                  "the softmax of the ten, take the largest. p is the share of wrong answers; "
                  "half of the interval is 1.96 sqrt(p (1 - p) / n).")
def the_report(answer):
    images, _ = _shapes(0, 300)
    net = _Judge().eval()
    with torch.no_grad():
        views = [images[:, :, top:top + 24, left:left + 24] for top, left, _ in
                 ten_view_places(32, 24)]
        views = [net(capstone.prepare(view.flip(3) if flip else view)) for view, (_, _, flip) in
                 zip(views, ten_view_places(32, 24), strict=True)]
    by_probability = sum(view.softmax(1) for view in views).argmax(1).cpu()
    labels = by_probability.clone()
    labels[::4] = (labels[::4] + 1) % 9  # every fourth is wrong
    found = answer(net.train(), images, labels)
    expect(isinstance(found, (tuple, list)) and len(found) == 3, "Return error, low, high.")
    error, low, high = map(number, found)
    expect(abs(error - 0.25) > 1e-6, "Give percent, not a fraction.")
    expect(error < 80, "Nearly everything is wrong: in which mode is the network?")
    expect(abs(error - 25) < 1e-4, f"We planted 75 errors in 300 images; you found {error:.2f}%. "
           "Ten crops, five of them mirrored; the mean of their probabilities, not of their "
           "logits.")
    expect(low < error < high, "The error should be between the two ends of its interval.")
    half = 196 * (0.25 * 0.75 / 300) ** 0.5
    expect(abs(high - low - 2 * half) < 0.4, f"Your interval is {high - low:.2f} points wide; 95% "
           f"of 300 images need {2 * half:.2f}.")
    return "The last digit of an error is chance. Now you can say from which one on."


@exercise("15-5", "What does a sum of noise and a stripe look like? And what is left if you "
                  "subtract the wrong noise?")
def sheets(answer):
    kinds = ("initial", "trained", "trained - initial", "trained - another seed's initial")
    answer = filled(answer, "ABCD", kinds)
    expect(len({answer[name] for name in "ABCD"}) == 4, "Use each of the four once.")
    expect(answer[SHEETS["trained - initial"]] == "trained - initial",
           "One of the sheets has no snow on it. Which one could that be?")
    expect(answer[SHEETS["initial"]] == "initial", "One of the sheets has nothing but snow on it.")
    expect(all(answer[letter] == kind for kind, letter in SHEETS.items()),
           "Subtracting the wrong noise adds noise. Which of the last two has more of it?")
    return "Only the initial weights that they started from uncover what the kernels learned."


SHEETS = {"initial": "C", "trained": "A", "trained - initial": "D",
          "trained - another seed's initial": "B"}


@exercise("15-6", "For each seed subtract the error with from the error without. The effect is "
                  "the mean; the interval is effect ± t · std / sqrt(n), with the std by n - 1 "
                  "and t = 4.303 for three seeds, 3.182 for four, 2.776 for five.")
def own_claim(answer):
    answer = filled(answer, ("claim", "arms", "errors", "effect", "interval", "verdict"))
    expect(len(str(answer["claim"]).split()) > 3, "Write your claim as a sentence.")
    errors = filled(answer["errors"], ("with", "without"))
    first, second = ([number(e) for e in errors[name]] for name in ("with", "without"))
    expect(len(first) == len(second) >= 3, "Both arms need the same seeds, three or more.")
    expect(all(0 < e < 100 for e in first + second), "Give errors in percent, between 0 and 100.")
    expect(max(first + second) > 1, "These look like fractions: give errors in percent.")
    expect(first != second, "Both arms have the same errors: are they different networks?")
    gaps = np.subtract(second, first)
    effect = number(answer["effect"])
    expect(abs(effect + gaps.mean()) > 0.02 or abs(effect) < 0.02,
           "The sign: error without minus error with.")
    expect(abs(effect - gaps.mean()) < 0.02, f"The mean of without minus with is not {effect:g}.")
    ends = answer["interval"]
    expect(isinstance(ends, (tuple, list)) and len(ends) == 2, "interval: (low, high).")
    ends, right = [number(end) for end in ends], interval(gaps)
    expect(np.allclose(ends, right, atol=0.02 + 0.005 * (right[1] - right[0])),
           f"The interval of these {len(gaps)} differences is not {ends[0]:.2f} to {ends[1]:.2f}.")
    told = "yes" if right[0] > 0 else "no" if right[1] < 0 else "can't tell"
    expect(answer["verdict"] == told, 'Say "yes" where the whole interval is above zero, "no" '
           'where it is below, and "can\'t tell" where zero is inside.')
    arms = filled(answer["arms"], ("with", "without"))
    again = number(arms["without"](0))
    expect(abs(again - second[0]) < 5, f"We ran your arm without, with seed 0: {again:.1f}%. "
           f"Your row has {second[0]:.1f}%. Seed it with torch.manual_seed before you build.")
    return f"{effect:+.1f} points ({right[0]:+.1f} to {right[1]:+.1f}): {told}."
