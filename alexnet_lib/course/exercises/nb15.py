"""Exercises of notebook 15: AlexNet from an empty cell."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from alexnet_lib import memory
from alexnet_lib.augment import ten_view_places
from alexnet_lib.course.exercises import exercise, expect, number, tensor
from alexnet_lib.models import AlexNet
from alexnet_lib.optim import PaperSGD
from alexnet_lib.probe import probe

NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def _layers(net) -> tuple[list, list]:
    expect(isinstance(net, nn.Module), "my_alexnet(10) is to be an nn.Module.")
    return tuple([m for m in net.modules() if isinstance(m, kind)] for kind in (nn.Conv2d,
                                                                                nn.Linear))


def _outputs(net, modules, x) -> list:
    """What these modules give for x, and the net's own output, last."""
    with torch.no_grad(), probe({module: module for module in modules},
                                lambda layer, given, out: out.detach()) as found:
        last = net(x)
    expect(len(found) == len(modules), "Some of your layers are never used in forward.")
    return [found[module] for module in modules] + [last]


@exercise("15-1", "Begin with nn.Conv2d(3, 96, 11, stride=4), and go on from there: five "
                  "convolutions, three full layers.")
def the_net(answer):
    net = answer(1000)
    convs, fulls = _layers(net)
    expect(len(convs) == 5 and len(fulls) == 3, "Five nn.Conv2d and three nn.Linear, in order.")
    expect([c.out_channels for c in convs] == [96, 256, 384, 384, 256], "Count the kernels again.")
    expect([c.groups for c in convs] == [1, 2, 1, 2, 2],
           "Which convolutions see their own column only? groups=2 in those.")
    expect([f.out_features for f in fulls] == [4096, 4096, 1000], "4096, 4096, and the classes.")
    x = torch.randn(2, 3, 227, 227, generator=torch.Generator().manual_seed(0)) * 60
    net.eval()
    *maps, out = _outputs(net, convs, x)
    expect([m.shape[-1] for m in maps] == [55, 27, 13, 13, 13],
           f"The convolutions should give maps of 55, 27, 13, 13, 13 pixels; yours give "
           f"{', '.join(str(m.shape[-1]) for m in maps)}. Look at paddings and poolings.")
    expect(tuple(out.shape) == (2, 1000), "Two images should give (2, 1000).")
    expect(bool((out < 0).any()), "The result is to be logits: no softmax, no ReLU behind fc8.")
    total = sum(p.numel() for p in net.parameters())
    expect(total == 60_965_224, f"60,965,224 parameters; yours has {total:,}.")
    _columns_norms_dropout(net, convs, fulls, x)
    _learns(net, [*convs, *fulls], x / 60)
    return ("60,965,224 parameters, 96 % of them in the three full layers; two columns that meet "
            "in conv3, norms that keep to their own.")


def _columns_norms_dropout(net, convs, fulls, x) -> None:
    """What the sizes do not show."""
    with torch.no_grad():
        for layer in [*convs, *fulls]:
            layer.bias.zero_()
            layer.weight.normal_(std=(2 / layer.weight[0].numel()) ** 0.5)
    second, third, last = _outputs(net, [convs[1], convs[2]], x)
    doubled = _outputs(net, [convs[1]], 2 * x)[0]
    expect(not torch.allclose(doubled, 2 * second, rtol=1e-3),
           "Without biases, a net of convolutions and ReLUs doubles when its input doubles, and "
           "so does yours: the response normalization is missing behind conv1.")
    again = _outputs(net, [convs[2]], 2 * x)[0]
    with torch.no_grad():
        convs[0].weight[48:] *= 3  # the second column's kernels
    half = _outputs(net, [convs[1]], x)[0]
    expect(not torch.equal(half[:, 128:], second[:, 128:]), "conv2 does not see conv1.")
    expect(torch.allclose(half[:, :128], second[:, :128], rtol=1e-4, atol=1e-4),
           "A change of column 2 reaches column 1 before conv3. Does the normalization look over "
           "the border between maps 47 and 48?")
    expect(not torch.allclose(again, 2 * third, rtol=1e-3), "And behind conv2?")
    with torch.no_grad():
        convs[0].weight[48:] /= 3
    expect(torch.allclose(_outputs(net, [convs[1]], x)[-1], last, atol=1e-2),
           "In evaluation mode the same image must give the same answer.")
    _dropout(net, fulls, x)
    _as_printed(net, convs, fulls, x)


def _dropout(net, fulls, x) -> None:
    """What each full layer is given in training: half of the hidden units, and all else whole."""
    with torch.no_grad(), probe({layer: layer for layer in fulls},
                                lambda layer, inputs, out: inputs[0].detach()) as given:
        net.eval()(x)
        whole = given[fulls[0]]
        out = net.train()(x)
        expect(not torch.allclose(out, net(x)),
               "In training mode, dropout makes each pass another.")
        out = net(x)
    behind = "Dropout stands behind the ReLUs of fc6 and fc7, and nowhere else: "
    expect(torch.equal(given[fulls[0]], whole), behind + "what fc6 is given changes in training.")
    with torch.no_grad():
        for name, layer, after in zip(("fc7", "fc8"), fulls, fulls[1:]):  # noqa: B905
            loud = layer(given[layer]).relu() > 0
            share = float((given[after][loud] == 0).float().mean())
            expect(0.4 < share < 0.6, behind + f"of the units that {name} could hear, {share:.0%} "
                   "are silent in training; it should be half.")
        expect(torch.allclose(out, fulls[2](given[fulls[2]]), atol=1e-4),
               behind + "what fc8 gives is the result.")


def _as_printed(net, convs, fulls, x) -> None:
    """Layer by layer what the paper's net gives with the learner's weights."""
    net.eval()  # nn.Dropout does nothing at test: so no dropout in the twin
    printed = AlexNet(fulls[-1].out_features, variant="paper", dropout=0.0).eval()
    twins = [*convs, *fulls], sum(_layers(printed), [])
    for mine, theirs in zip(*twins, strict=True):
        theirs.load_state_dict(mine.state_dict())
    given, right = _outputs(net, twins[0], x), _outputs(printed, twins[1], x)
    for i in range(1, 8):
        loudest = float(right[i].abs().max())
        expect(torch.allclose(given[i], right[i], rtol=1e-3, atol=1e-3 * loudest),
               f"With your weights the paper's net gives something else in {NAMES[i]}. Look at "
               f"what stands between {NAMES[i - 1]} and {NAMES[i]}.")
    expect({m.p for m in net.modules() if isinstance(m, nn.Dropout)} == {0.5},
           "Dropout silences with probability 0.5.")


def _learns(net, layers, x) -> None:
    """Steps downhill, without dropout: a gradient reaches every layer, and the loss falls."""
    net.eval()
    weights, losses = [layer.weight for layer in layers], []
    for _ in range(3):
        losses.append(functional.cross_entropy(net(x), torch.arange(len(x))))
        expect(losses[-1].requires_grad, "No gradient leaves your net: is it under no_grad?")
        gradients = torch.autograd.grad(losses[-1], weights, allow_unused=True)
        for name, weight, gradient in zip(NAMES, weights, gradients, strict=True):
            expect(gradient is not None and bool(gradient.any()), f"No gradient reaches {name}: "
                   "what cuts it off behind that layer? detach, .data, torch.no_grad?")
            weight.data.sub_(gradient, alpha=1e-4)
    expect(losses[-1] < losses[0], "Three small steps downhill, and the loss of your net rises.")


@exercise("15-2", "Go through the layers in order; the paper's section 5 names the ones whose "
                  "biases are 1.")
def first_weights(answer):
    torch.manual_seed(0)
    net = AlexNet(10, input_size=67, init="he", hidden_bias=0.5)
    convs, fulls = _layers(answer(net))
    for i, layer in enumerate([*convs, *fulls]):
        name = NAMES[i]
        std, mean = float(layer.weight.detach().std()), float(layer.weight.detach().mean())
        expect(abs(std - 0.01) < 0.0005 and abs(mean) < 0.001,
               f"The weights of {name} should have the mean 0 and the std 0.01; they have "
               f"{mean:.3f} and {std:.4f}.")
        ones = float(name in ("conv2", "conv4", "conv5", "fc6", "fc7"))
        expect(bool((layer.bias == ones).all()),
               f"The biases of {name} should be {ones:g}: 1 in conv2, conv4, conv5 and the "
               "hidden full layers, and 0 elsewhere.")
    return "As in section 5; the source has 0.03 in conv3 to conv5."


@exercise("15-3", "First the new v: 0.9 v, less decay and gradient times the rate; then w + v.")
def the_step(answer):
    def walked(step):
        generator = torch.Generator().manual_seed(0)
        w, v = torch.randn(5, generator=generator), torch.zeros(5)
        for rate in (0.1, 0.1, 0.01, 0.01):
            w, v = step(w, v, torch.randn(5, generator=generator), rate)
        return tensor(w, (5,)), tensor(v, (5,))

    generator = torch.Generator().manual_seed(0)
    theirs = nn.Parameter(torch.randn(5, generator=generator))
    optimizer = PaperSGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.0005)
    for rate in (0.1, 0.1, 0.01, 0.01):
        optimizer.param_groups[0]["lr"] = rate
        theirs.grad = torch.randn(5, generator=generator)
        optimizer.step()
    w, _ = walked(answer)
    expect(torch.allclose(w, theirs.detach(), atol=1e-6),
           "After four steps, the rate lowered between the second and the third, w is not where "
           "the paper's rule leads. Is the rate inside of v? Is the decay times the rate, too?")
    return "The rule of section 5, to the last digit."


def _by_the_rule(net, x, y, steps) -> list[float]:
    """The losses of the first steps by the library's update."""
    optimizer, losses = PaperSGD(net.parameters(), lr=0.01), []
    for _ in range(steps):
        loss = functional.cross_entropy(net.train()(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@exercise("15-4", "For each of the steps: the net in training mode, logits, loss, gradients to "
                  "zero, backward, a step of your rule for each parameter; keep the loss.")
def the_training(answer):
    from alexnet_lib.datasets import shapes
    images, labels = shapes.render(0, 16, 40)
    x = torch.from_numpy(images[:, 2:38, 2:38]).permute(0, 3, 1, 2).float()
    x, y = x - x.mean(0), torch.as_tensor(labels).long()
    torch.manual_seed(0)
    net = AlexNet(10, input_size=36, width=0.15, dropout=0.0, variant="2012")
    before = [p.detach().clone() for p in net.parameters()]
    theirs = _by_the_rule(copy.deepcopy(net), x, y, 5)
    found = answer(net, x, y, 50)
    expect(isinstance(found, (list, tuple)), "A list is asked for: the loss of each step.")
    losses = [number(loss) for loss in found]
    expect(len(losses) == 50, f"50 steps, 50 losses; there are {len(losses)}.")
    expect(abs(losses[0] - np.log(10)) < 0.5, "The first loss is to be that of the fresh net, "
           "about ln 10: take it before the update.")
    expect(any(not torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True)),
           "The weights have not changed.")
    expect(np.allclose(losses[1:5], theirs[1:], rtol=0.01), "The loss moves, but not as by the "
           "rule of 15-3: momentum 0.9, decay 0.0005, the rate of 0.01 inside of v, and a v for "
           "each parameter that begins at zero.")
    expect(losses[-1] < 0.7 * losses[0],
           f"16 images, 50 steps, and the loss went from {losses[0]:.2f} to {losses[-1]:.2f}. Are "
           "the gradients set to zero before each step? Does each parameter keep its own v?")
    return f"From {losses[0]:.2f} to {losses[-1]:.2f}: it learns."


@exercise("15-5", "Four corners and the center, each also mirrored: softmax of each view, then "
                  "the mean.")
def the_ten_views(answer):
    images = torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 20

    def ask(x):  # some function of its input that is not the same for any two views
        expect(x.shape[-2:] == (36, 36), "The net is to be given squares of 36 pixels.")
        return torch.cat([x[:, :, 0, 0], x[:, :1, 5, 30], x.amax((1, 2, 3))[:, None]], 1) / 10

    expected = 0
    for top, left, flip in ten_view_places(40, 36):
        view = images[:, :, top:top + 36, left:left + 36]
        expected = expected + ask(view.flip(3) if flip else view).softmax(1) / 10
    found = tensor(answer(ask, images, 36))
    expect(found.shape == expected.shape, "(images, classes): one row for each image.")
    expect(torch.allclose(found.sum(1), torch.ones(3), atol=1e-4), "Each row should sum to 1.")
    expect(torch.allclose(found, expected, atol=1e-4),
           "Corners, center, mirrors: ten views, and the mean of their probabilities, not of "
           "their logits.")
    return "As in section 4.1, and as in src/layer.cu:1810-1821."


@exercise("15-6", "my_alexnet(10), first weights that let the images through to fc8, and your "
                  "training of 15-4.")
def learned(answer):
    from alexnet_lib.datasets import shapes
    images, labels = shapes.render(0, 8, 227)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    x, y = (x - x.mean((0, 2, 3), keepdim=True)) / 58, torch.as_tensor(labels).long()
    torch.manual_seed(0)
    with memory.keep_freed_memory():  # it spares a third of the time
        found = answer(x.clone(), y.clone())
    expect(isinstance(found, (tuple, list)) and len(found) == 2, "Return two things: net, losses.")
    net, losses = found
    convs, fulls = _layers(net)
    count = sum(p.numel() for p in net.parameters())
    expect(len(convs) == 5 and len(fulls) == 3 and count == 56_909_194,
           f"The net of 15-1 with ten classes has 56,909,194 parameters; this one has {count:,}.")
    losses = [number(loss) for loss in losses]
    expect(len(losses) == 50, f"50 steps, 50 losses; there are {len(losses)}.")
    expect(np.isfinite(losses).all(), "The loss became infinite: the steps are too long. Lower "
           "the rate.")
    with torch.no_grad():
        loss = float(functional.cross_entropy(net.eval()(x), y))
    expect(loss < np.log(10) / 2, f"Asked once more, your net has a loss of {loss:.2f} on "
           "the eight pictures; a guess has 2.30. How large are the numbers that reach fc8, and "
           "how much do they differ from image to image?")
    return f"From {losses[0]:.2f} to {loss:.2f} in 50 steps: your AlexNet learns."
