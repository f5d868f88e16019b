"""The update rule against torch's SGD and against the printed formula; the schedules."""

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers

from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.optim import (
    PaperSGD,
    Plateau,
    Restart,
    Run145,
    lr_scheduler,
    parameter_groups,
    update,
)


def walk(optimizer, weights, rates):
    """Minimize a fixed quadratic, one step at each of the rates; the weights after each step."""
    path = []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        (weights * torch.arange(1.0, 5.0) * weights).sum().backward()
        optimizer.step()
        path.append(weights.detach().clone())
    return path


def both(rates):
    paths = []
    for kind in (PaperSGD, torch.optim.SGD):
        weights = nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5]))
        paths.append(walk(kind([weights], lr=rates[0], momentum=0.9, weight_decay=0.0005),
                          weights, rates))
    return paths


def test_equals_torch_while_the_rate_is_constant():
    ours, theirs = both([0.01] * 20)
    torch.testing.assert_close(torch.stack(ours), torch.stack(theirs))


def test_differs_from_torch_after_a_drop():
    ours, theirs = both([0.01] * 10 + [0.001] * 10)
    torch.testing.assert_close(torch.stack(ours[:10]), torch.stack(theirs[:10]))
    # Ours goes on with the old, ten times larger velocity.
    step = [(path[10] - path[9]).norm() for path in (ours, theirs)]
    assert step[0] > 3 * step[1]


def test_is_the_printed_rule():
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.double))
    optimizer = PaperSGD([weight], lr=0.1, momentum=0.9, weight_decay=0.05)
    w, v = 2.0, 0.0
    for rate in (0.1, 0.1, 0.01):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        (weight ** 3).backward()
        optimizer.step()
        v = 0.9 * v - 0.05 * rate * w - rate * 3 * w ** 2
        w += v
    assert weight.item() == pytest.approx(w, rel=1e-12)


def test_rate_zero_freezes_weights_and_velocity():
    weight = nn.Parameter(torch.ones(3))
    optimizer = PaperSGD([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    before, velocity = weight.detach().clone(), optimizer.state[weight]["velocity"].clone()
    optimizer.param_groups[0]["lr"] = 0
    optimizer.step()
    assert torch.equal(weight, before)
    assert torch.equal(optimizer.state[weight]["velocity"], velocity)


def test_biases_are_not_decayed_and_have_their_own_rate():
    groups = {(g["name"], g["kind"]): g for g in
              parameter_groups(AlexNet(2, input_size=67, width=0.02), 0.01, 0.0005, 2.0)}
    assert len(groups) == 16
    assert groups["conv1", "weight"]["weight_decay"] == 0.0005
    assert groups["fc8", "bias"]["weight_decay"] == 0
    assert groups["fc8", "bias"]["lr"] == 0.02 and groups["fc8", "weight"]["lr"] == 0.01


def test_a_net_can_bring_its_own_decay():
    groups = {(g["name"], g["kind"]): g["weight_decay"]
              for g in parameter_groups(CifarNet(), 0.001, None)}
    assert groups["conv2", "weight"] == 0.004 and groups["fc10", "weight"] == 1.0
    assert groups["fc10", "bias"] == 0


def rates_over(rule, epochs, errors=None, lr=0.01):
    model = AlexNet(2, input_size=67, width=0.02)
    optimizer = PaperSGD(parameter_groups(model, lr, 0.0005, 2.0), lr)
    rows = []
    for epoch in range(epochs):
        rule.update(optimizer, epoch, errors[epoch] if errors else None)
        rows.append({(g["name"], g["kind"]): g["lr"] for g in optimizer.param_groups})
    return rows


@pytest.mark.parametrize("name", ["cifar", "steps", "145", "restart", "constant", "plateau"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_a_short_run_begins_with_the_whole_rate(name, epochs):
    assert rates_over(lr_scheduler(name, epochs), epochs)[0]["conv2", "weight"] == 0.01


@pytest.mark.parametrize("epochs", range(3, 30))
def test_drops_are_an_epoch_apart(epochs):
    rates = [row["conv2", "weight"] for row in rates_over(lr_scheduler("cifar", epochs), epochs)]
    assert [round(0.01 / rate) for rate in rates if rate < 0.01][:1] == [10]
    assert rates[-1] == pytest.approx(1e-4)


def test_the_plateau_is_that_of_pytorch():
    """Also where the error falls slowly: small falls add up to an improvement."""
    generator = torch.Generator().manual_seed(0)
    for fall in (0.0, 0.0004, 0.0008, 0.002):
        noise = 0.002 * torch.rand(40, generator=generator)
        errors = [0.5 - fall * i + noise[i].item() for i in range(40)]
        ours = [row["conv2", "weight"] for row in
                rates_over(Plateau(patience=3), 40, [None, *errors[:-1]])]
        theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.01)
        rule = schedulers.ReduceLROnPlateau(
            theirs, patience=2, threshold=0.001, threshold_mode="abs", min_lr=1e-5)
        expected = []
        for error in errors:
            expected.append(theirs.param_groups[0]["lr"])
            rule.step(error)
        assert ours == pytest.approx(expected)


@pytest.mark.parametrize("epochs, rule, theirs", [
    (91, lr_scheduler("steps", 91), lambda o: schedulers.MultiStepLR(o, [25, 51, 79])),
    (140, lr_scheduler("cifar", 140), lambda o: schedulers.MultiStepLR(o, [120, 130])),
    (9, lr_scheduler("constant", 9), lambda o: schedulers.ConstantLR(o, 1.0))])
def test_steps_and_constant_are_those_of_pytorch(epochs, rule, theirs):
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.01, 0.02)]
    optimizer = torch.optim.SGD(groups)
    rule_of_torch, expected = theirs(optimizer), []
    for _ in range(epochs):
        expected.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        rule_of_torch.step()
    ours = [(row["conv2", "weight"], row["conv2", "bias"]) for row in rates_over(rule, epochs)]
    assert ours == [pytest.approx(row) for row in expected]


def test_restart_follows_its_log():
    rows, before = rates_over(Restart(135), 135), rates_over(Run145(91), 91)
    assert rows[:91] == before
    for epoch, rate in ((91, 1e-3), (106, 1e-3), (107, 1e-4), (123, 1e-4), (124, 1e-5)):
        assert rows[epoch]["conv1", "weight"] == rows[epoch]["conv1", "bias"] == 0
        assert rows[epoch]["conv3", "weight"] == pytest.approx(rate)
        assert rows[epoch]["conv3", "bias"] == pytest.approx(0.02)
    short = rates_over(lr_scheduler("restart", 27), 27)  # a fifth of the length
    assert [row["conv2", "weight"] for row in short] == pytest.approx(
        [row["conv2", "weight"] for row in rows[::5]])
    assert [Restart(135).noise_again(epoch) for epoch in (0, 66, 90, 91, 123, 124)] == [
        False, False, False, True, True, False]


def test_run_145_follows_its_log():
    rows = rates_over(Run145(91), 91)
    for epoch, rate in ((0, 0.01), (24, 0.01), (25, 0.001), (50, 0.001), (51, 1e-4), (78, 1e-4),
                        (79, 1e-5), (90, 1e-5)):
        assert rows[epoch]["fc6", "weight"] == pytest.approx(rate)
        assert rows[epoch]["fc6", "bias"] == pytest.approx(0.02)
    assert rows[66]["conv1", "weight"] == pytest.approx(1e-4)
    assert rows[67]["conv1", "weight"] == pytest.approx(1e-5)
    assert rows[67]["conv1", "bias"] == pytest.approx(0.02)
    assert rows[72]["conv1", "weight"] == rows[72]["conv1", "bias"] == 0


def test_plateau_drops_three_times_and_no_more():
    errors = [None, 0.9, 0.5] + [0.5] * 30
    rows = rates_over(Plateau(patience=3), len(errors), errors)
    found = [row["conv2", "weight"] for row in rows]
    drops = [i for i in range(1, len(found)) if found[i] < found[i - 1]]
    assert drops == [5, 8, 11]
    assert found[-1] == pytest.approx(1e-5)


def test_plateau_is_less_patient_in_a_short_run():
    assert [lr_scheduler("plateau", n).patience for n in (1, 20, 54, 90, 180)] == [2, 2, 3, 5, 10]


def test_plateau_waits_while_the_error_falls():
    errors = [None] + [0.9 - 0.01 * i for i in range(30)]
    assert {row["fc8", "weight"] for row in rates_over(Plateau(patience=2), 31, errors)} == {0.01}


@pytest.mark.parametrize("name, drops", [("constant", []), ("cifar", [120, 130]),
                                         ("steps", [38, 78, 121])])
def test_other_schedules(name, drops):
    found = [row["fc6", "weight"] for row in rates_over(lr_scheduler(name, 140), 140)]
    assert [i for i in range(1, 140) if found[i] < found[i - 1]] == drops


def test_bad_settings_are_refused():
    with pytest.raises(ValueError):
        PaperSGD([nn.Parameter(torch.ones(1))], lr=-1)
    with pytest.raises(UserError, match="lr-scheduler"):
        lr_scheduler("cosine", 10)


def test_a_step_is_that_of_torch():
    """Forward, loss, backward, update; the scale is for the backward pass alone."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    mine = torch.optim.SGD(ours.parameters(), 0.1)
    yours = torch.optim.SGD(theirs.parameters(), 0.2)
    for _ in range(3):
        x, labels = torch.randn(4, 5), torch.randint(3, (4,))
        loss, logits = update(ours, mine, x, labels, scale=2)
        expected = nn.functional.cross_entropy(theirs(x), labels)
        yours.zero_grad()
        expected.backward()
        yours.step()
        assert loss == expected.detach() and not loss.requires_grad and logits.shape == (4, 3)
        torch.testing.assert_close(ours.weight.grad, 2 * theirs.weight.grad)
        torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_step_takes_another_loss_and_precision():
    net = nn.Linear(5, 3)
    seen = []

    def loss(logits, labels):
        seen.append(logits.dtype)
        return logits.square().sum() * labels

    value, logits = update(net, torch.optim.SGD(net.parameters(), 0.0), torch.randn(4, 5), 3.0,
                           loss=loss, precision=torch.autocast("cpu", torch.bfloat16))
    update(net.double(), torch.optim.SGD(net.parameters(), 0.0), torch.randn(4, 5).double(), 3.0,
           loss=loss)
    assert seen == [torch.float32, torch.float64] and logits.dtype == torch.bfloat16
    assert value == 3 * logits.float().square().sum()
