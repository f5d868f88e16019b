"""The operators under everything that PyTorch and its users do with operators.

The reference is PyTorch's own layers, or the plain formula in float64.
"""

import contextlib
import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_map

from alexnet_lib import ops
from alexnet_lib.augment import Augment
from alexnet_lib.errors import UserError
from alexnet_lib.layers import LocalResponseNorm, MaxPool, SpatialResponseNorm, local_response_norm
from alexnet_lib.models import AlexNet
from alexnet_lib.ops import norm, pool
from alexnet_lib.optim import PaperSGD, parameter_groups

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(params=["kernels", "plain"])
def path(request):
    """Runs a test on the compiled kernels and on the plain formulas."""
    if request.param == "plain":
        with ops.plain():
            yield request.param
    elif not ops.usable():
        pytest.skip(ops.status())
    else:
        yield request.param


def spatial_reference(x, size=5, alpha=4e-5, beta=0.75, k=1.0):
    window = nn.functional.pad(x.square(), [size // 2] * 4).unfold(2, size, 1).unfold(3, size, 1)
    return x / (k + alpha * window.sum((-2, -1))) ** beta


@pytest.fixture
def compiled():
    if not ops.usable():
        pytest.skip(ops.status())


# Our layer and what it must equal, of torch's own operators.
PAIRS = {
    "lrn": (LocalResponseNorm(6, 5, 1e-2), nn.LocalResponseNorm(5, 5e-2, 0.75, 2.0)),
    "spatial": (SpatialResponseNorm(3, 1e-2), lambda x: spatial_reference(x, 3, 1e-2)),
    "pool": (MaxPool(3, 2), nn.MaxPool2d(3, 2, ceil_mode=True)),
}
pairs = pytest.mark.parametrize("ours, theirs", PAIRS.values(), ids=PAIRS)


def some(*shape, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(shape or (2, 6, 5, 7), dtype=dtype) * 3


class Wrapped(torch.Tensor):
    """A tensor subclass that runs each operator on what it wraps, as many libraries' do."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype,
                                                   strides=inner.stride())

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        def bare(t):
            return t.inner if isinstance(t, cls) else t

        def dressed(t):
            return cls(t) if isinstance(t, torch.Tensor) else t

        return tree_map(dressed, function(*tree_map(bare, args), **tree_map(bare, kwargs or {})))


# ---------------------------------------------------------------- the contract of an operator

def cases(dtype=torch.float32):
    x, grad = some(2, 6, 5, 7, dtype=dtype), some(2, 6, 5, 7, dtype=dtype)
    settings = (5, 0.01, 0.75, 2.0, 2, False)
    images = torch.randint(0, 256, (4, 9, 9, 3), dtype=torch.uint8)
    index = torch.tensor([2, 0])
    weights = [torch.randn(3, 4), torch.randn(5)]
    return [
        (norm.response_norm, (x.requires_grad_(), *settings)),
        (norm.response_norm, (x.detach().to(memory_format=torch.channels_last), 3, 0.1, 0.6, 1.0, 1,
                              True)),
        (norm.response_norm_backward, (grad, x.detach(), *settings)),
        (pool.max_pool, (x.detach().requires_grad_(), 3, 2)),
        (pool.max_pool_backward, (some(2, 6, 2, 3), *pool.max_pool(x.detach(), 3, 2)[1:], 5, 7, 3,
                                  2)),
        (ops.make_batch, (images, index, index, index, index > 0, 7, torch.rand(9, 9, 3), True,
                          torch.rand(2, 3), 2.0, torch.float32)),
        (ops.paper_sgd, ([w.clone() for w in weights], [w.clone() for w in weights], weights,
                         0.1, 0.9, 5e-4)),
    ]


@pytest.mark.parametrize("case", range(7))
def test_opcheck(case, path):
    """Schema, gradient, what FakeTensor says, and a trace of each, as PyTorch checks them."""
    operator, args = cases()[case]
    torch.library.opcheck(operator.overload, args)


def test_the_compiler_is_not_imported_unasked():
    """It takes 160 MB and seconds; `torch.library.custom_op` imports it at the first call. Training
    imports it anyway, through PyTorch's optimizers."""
    program = """
import sys, torch
from alexnet_lib import AlexNet
net = AlexNet(input_size=67, width=0.1)
net(torch.zeros(1, 3, 67, 67)).sum().backward()
assert "torch._dynamo" not in sys.modules and "sympy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_update_is_seen_by_autograd():
    """Weights that a graph still needs may not be changed under its hands."""
    weight = torch.ones(3, requires_grad=True)
    out = weight.square().sum()
    with torch.no_grad():
        ops.paper_sgd([weight], [torch.zeros(3)], [torch.ones(3)], 0.1, 0.9, 0.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_bad_arguments_are_refused_before_native_code(path):
    x = some(dtype=torch.float32)
    settings = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0, "columns": 1, "spatial": False}
    for wrong in ({"size": 0}, {"columns": 4}, {"columns": 0}, {"k": 0.0}, {"alpha": -1.0},
                  {"alpha": torch.inf}, {"beta": torch.nan}, {"size": 4, "spatial": True}):
        with pytest.raises(UserError):
            norm.response_norm(x, **settings | wrong)
    for x in (torch.ones(2, 6, 5, 7, dtype=torch.int32), torch.ones(6, 5, 7)):
        with pytest.raises(UserError):
            norm.response_norm(x, **settings)
    for window, stride in ((0, 1), (-3, 2), (3, 0), (16, 2), (3, -1), (2**40, 1)):
        with pytest.raises(UserError):
            pool.max_pool(some(), window, stride)
    for sizes in ((0, 1), (3, 0), (-3, 2)):
        with pytest.raises(UserError):
            MaxPool(*sizes)
    with pytest.raises(UserError):
        ops.paper_sgd([torch.ones(4)], [torch.ones(4)], [torch.ones(2)], 0.1, 0.9, 0.0)


@pytest.mark.parametrize("make, axes", [(lambda: LocalResponseNorm(6, 2**31 - 1), 1),
                                        (lambda: SpatialResponseNorm(100_001), (2, 3))])
def test_windows_larger_than_all(make, axes, path):
    x, layer = some(dtype=torch.float32), make()
    everything = x.square().sum(axes, keepdim=True)
    torch.testing.assert_close(layer(x), x / (layer.k + layer.alpha * everything) ** layer.beta)


# ---------------------------------------------------------------- numbers

def fuzzed(rng):
    """A random norm and input, with sizes around those of the kernel's tiles."""
    spatial = bool(rng.integers(2))
    columns = int(rng.choice([1, 2])) if not spatial else 1
    channels = columns * int(rng.choice([1, 3, 8, 15, 16, 17, 24, 48]))
    sides = [(1, 1), (3, 5), (17, 17), (27, 27), (16, 16), (1, 257), (15, 18)]
    height, width = sides[rng.integers(len(sides))]
    size = int(rng.choice([1, 3, 5, 9])) if spatial else int(rng.choice([1, 2, 3, 5, 8]))
    alpha, beta, k = [(1e-4, 0.75, 2.0), (0.2, 0.75, 1.0), (1.0, 0.75, 0.5), (0.01, 0.6, 1e-3),
                      (0.3, 1.0, 1.0)][rng.integers(5)]
    x = torch.from_numpy(rng.normal(size=(3, channels, height, width)) * rng.choice([1, 30, 500]))
    grad = torch.from_numpy(rng.normal(size=x.shape) * rng.choice([1.0, 30.0, 1e5]))
    layout = LAYOUTS[rng.integers(2)]
    return (x.to(memory_format=layout), grad.to(memory_format=layout),
            (size, alpha, beta, k, columns, spatial))


def exact_gradient(x, grad, settings):
    x = x.double().contiguous().requires_grad_()
    size, alpha, beta, k, columns, spatial = settings
    out = (spatial_reference(x, size, alpha, beta, k) if spatial else
           local_response_norm(x, size, alpha, beta, k, columns))
    out.backward(grad.double())
    return out.detach(), x.grad


@pytest.mark.parametrize("seed", range(40))
def test_norms_are_the_formula_in_float64(seed, path):
    x, grad, settings = fuzzed(np.random.default_rng(seed))
    right = exact_gradient(x, grad, settings)
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-11)):
        a, g = x.to(dtype), grad.to(dtype)
        ours = (norm.response_norm(a, *settings), norm.response_norm_backward(g, a, *settings))
        for got, expected in zip(ours, right, strict=True):
            assert got.stride() == a.stride()
            assert (got - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 3e19, -3e30])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", [LocalResponseNorm(24, 5, 0.2, 0.75, 1.0),
                                   LocalResponseNorm(96, columns=2), SpatialResponseNorm(5, 1.0)])
def test_what_is_not_finite_stays_where_it_belongs(value, layout, layer, path):
    """In one image: the others are untouched, and around it the formula decides."""
    channels = getattr(layer, "channels", 24)
    x = some(3, channels, 27, 27, dtype=torch.float32).to(memory_format=layout)
    grad = some(3, channels, 27, 27, dtype=torch.float32) * 30
    clean = x.clone().requires_grad_()
    expected = layer(clean)
    expected.backward(grad)
    spoilt = x.clone()
    spoilt[0, channels // 2, 13, 13] = value
    spoilt.requires_grad_()
    out = layer(spoilt)
    out.backward(grad)
    assert torch.equal(out[1:], expected[1:]) and torch.equal(spoilt.grad[1:], clean.grad[1:])
    reference = spoilt.detach().clone().requires_grad_()
    settings = layer.alpha, layer.beta, layer.k
    right = (norm.formula(reference, 5, *settings, spatial=True)
             if isinstance(layer, SpatialResponseNorm)
             else local_response_norm(reference, 5, *settings, layer.columns))
    right.backward(grad)
    torch.testing.assert_close(out, right, equal_nan=True, rtol=1e-4, atol=1e-4)
    # Far from it, not even rounding differs; near it, finite where the formula's gradient is.
    assert not (spoilt.grad.isnan() & ~reference.grad.isnan()).any()


@pytest.mark.parametrize("layer", [LocalResponseNorm(6), SpatialResponseNorm(3)])
def test_half_precision_is_computed_in_float32(layer, path):
    x = (some(dtype=torch.float32) * 100).half()
    x[0, 0, 0, 0] = 970  # conv1's largest answers: their squares overflow
    leaf = x.clone().requires_grad_()
    out = layer(leaf)
    out.float().sum().backward()
    exact = x.double().requires_grad_()
    right = layer(exact)
    right.sum().backward()
    assert out.dtype == leaf.grad.dtype == torch.float16
    torch.testing.assert_close(out.double(), right, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(leaf.grad.double(), exact.grad, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.float16):
        torch.testing.assert_close(layer(x).double(), right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("how", ["half", "autocast"])
def test_a_net_in_half_precision_gives_numbers(how, path):
    net = AlexNet(10, input_size=63, width=0.25, variant="2012").eval()
    with torch.no_grad():
        net.features.conv1.weight.mul_(10)
        x = torch.randn(2, 3, 63, 63) * 70
        right = net(x)
        if how == "half":
            out = net.half()(x.half())
        else:
            with torch.autocast("cpu", torch.float16):
                out = net(x)
    torch.testing.assert_close(out.float(), right, rtol=0.05, atol=0.05)


# ---------------------------------------------------------------- views and memory

@pairs
@pytest.mark.parametrize("view", [
    lambda x: torch._neg_view(x), lambda x: x[::2, :, 1:], lambda x: x[:, :, :, ::2],
    lambda x: x[:1].expand(3, -1, -1, -1), lambda x: x.transpose(2, 3), lambda x: x[:0],
    lambda x: x.flip(1), lambda x: torch.complex(x, x).conj().imag])
def test_views(ours, theirs, view, path):
    for layout in LAYOUTS:
        x = view(some(4, 6, 8, 7).to(memory_format=layout))
        torch.testing.assert_close(ours(x), theirs(x))


@pairs
def test_memory_formats_are_those_of_torch(ours, theirs, path):
    for layout in LAYOUTS:
        x = some().to(memory_format=layout)
        assert ours(x).stride() == theirs(x).stride()
    assert MaxPool(3, 2)(some(2, 6, 9, 9)).view(2, -1).shape == (2, 96)


def test_mkldnn_tensors():
    x = some(dtype=torch.float32)
    for ours, theirs in PAIRS.values():
        torch.testing.assert_close(ours(x.to_mkldnn()).to_dense(), theirs(x))


def test_pooling_of_other_kinds_is_torchs(path):
    x = some(2, 6, 9, 9)
    for layer in (MaxPool((3, 2), (2, 1)), MaxPool(3, 2)):
        layer.return_indices = True
        out, index = layer(x)
        right = nn.MaxPool2d(layer.kernel_size, layer.stride, ceil_mode=True,
                             return_indices=True)(x)
        assert torch.equal(out, right[0]) and torch.equal(index, right[1])
    layer = MaxPool(3, 2)
    layer.padding, layer.ceil_mode = 1, False
    assert torch.equal(layer(x), nn.MaxPool2d(3, 2, padding=1)(x))
    assert torch.equal(MaxPool(3, 2)(x[0]), MaxPool(3, 2)(x)[0])  # without a batch


def test_a_norm_over_other_shapes():
    for shape in ((2, 6, 9), (2, 6, 3, 4, 5)):
        x = some(*shape)
        torch.testing.assert_close(PAIRS["lrn"][0](x), PAIRS["lrn"][1](x))


# ---------------------------------------------------------------- derivatives

@pairs
def test_second_derivatives(ours, theirs, path):
    x = some(1, 6, 3, 3)
    v = torch.randn_like(x)

    def loss(layer):
        return lambda x: (layer(x).square() * torch.arange(layer(x).numel()).view_as(layer(x))
                          ).sum()

    for ours_of, theirs_of in zip(
            (torch.autograd.functional.hessian(loss(ours), x), torch.func.hessian(loss(ours))(x),
             torch.autograd.functional.hvp(loss(ours), x, v)[1]),
            (torch.autograd.functional.hessian(loss(theirs), x),
             torch.func.hessian(loss(theirs))(x),
             torch.autograd.functional.hvp(loss(theirs), x, v)[1]), strict=True):
        torch.testing.assert_close(ours_of, theirs_of)
        assert ours_of.abs().sum() > 0
    assert torch.autograd.gradgradcheck(ours, some(1, 6, 3, 3).requires_grad_())


@pairs
def test_function_transforms(ours, theirs, path):
    x, v = some(3, 2, 6, 5, 5), some(3, 2, 6, 5, 5)

    def total(layer):
        return lambda x: layer(x).square().sum()

    def per_example(layer):
        return torch.func.vmap(torch.func.grad(total(layer)))(x)

    torch.testing.assert_close(torch.func.vmap(ours, in_dims=1)(x.movedim(0, 1)),
                               torch.func.vmap(theirs)(x))
    torch.testing.assert_close(per_example(ours), per_example(theirs))
    torch.testing.assert_close(torch.func.grad(total(ours))(x[0]),
                               torch.func.grad(total(theirs))(x[0]))
    for got, right in zip(torch.func.jvp(ours, (x[0],), (v[0],)),
                          torch.func.jvp(theirs, (x[0],), (v[0],)), strict=True):
        torch.testing.assert_close(got, right)
    leaf = x[0].clone().requires_grad_()
    many = torch.stack([torch.ones_like(ours(leaf)), ours(leaf).detach()])
    torch.testing.assert_close(
        torch.autograd.grad(ours(leaf), leaf, many, is_grads_batched=True)[0],
        torch.autograd.grad(theirs(leaf), leaf, many, is_grads_batched=True)[0])


# ---------------------------------------------------------------- tracers, compilers, subclasses

@pairs
def test_without_data(ours, theirs, path):
    with FakeTensorMode():
        x = torch.empty(2, 6, 9, 9, requires_grad=True)
        out = ours(x)
        out.sum().backward()
        assert out.shape == theirs(x).shape and x.grad.shape == x.shape
    meta = torch.empty(2, 6, 9, 9, device="meta")
    assert ours(meta).shape == theirs(meta).shape


def test_a_net_without_data():
    with FakeTensorMode():
        out = AlexNet()(torch.empty(4, 3, 227, 227))
        out.sum().backward()
    assert out.shape == (4, 1000)


@pairs
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(ours, theirs, mode, path):
    graph = make_fx(ours, tracing_mode=mode)(some())
    x = some()
    torch.testing.assert_close(graph(x), theirs(x))


@pairs
def test_symbolic_trace(ours, theirs, path):
    graph = torch.fx.symbolic_trace(nn.Sequential(ours) if isinstance(ours, nn.Module) else ours)
    x = some()
    torch.testing.assert_close(graph(x), theirs(x))


@pairs
def test_exported_graphs_need_no_library(ours, theirs, path, tmp_path):
    x = some(dtype=torch.float32)
    exported = torch.export.export(ours, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert not any("alexnet" in str(node.target) for node in exported.graph.nodes)
    other = some(5, 6, 5, 7, dtype=torch.float32)
    torch.testing.assert_close(exported.module()(other), theirs(other))
    traced = torch.jit.trace(ours, x)
    traced.save(str(tmp_path / "traced.pt"))
    torch.testing.assert_close(torch.jit.load(str(tmp_path / "traced.pt"))(other), theirs(other))


@pairs
@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled(ours, theirs, layout, path):
    """One graph without breaks, forward and backward, in which the operators are nodes."""
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    torch._dynamo.reset()
    from torch._dynamo.backends.common import aot_autograd
    compiled = torch.compile(ours, backend=aot_autograd(fw_compiler=backend), fullgraph=True)
    x = some().to(memory_format=layout).requires_grad_()
    same = x.detach().clone().requires_grad_()
    out, right = compiled(x), theirs(same)
    grad = torch.randn_like(right)
    out.backward(grad)
    right.backward(grad)
    torch.testing.assert_close(out, right)
    torch.testing.assert_close(x.grad, same.grad)
    if hasattr(torch.compiler, "is_exporting"):  # else an old torch, which gets the formulas
        assert sum("alexnet" in name for name in seen) >= 2


def test_compiled_by_inductor():
    torch._dynamo.reset()
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), *(ours for ours, _ in PAIRS.values()))
    x = some(2, 3, 9, 9, dtype=torch.float32)
    compiled = torch.compile(net, fullgraph=True)
    found = torch.autograd.grad(compiled(x).sum(), net[0].weight)[0]
    torch.testing.assert_close(found, torch.autograd.grad(net(x).sum(), net[0].weight)[0])


@pairs
def test_tensor_subclasses(ours, theirs, path):
    x = some(dtype=torch.float32)
    out = ours(Wrapped(x))
    assert isinstance(out, Wrapped)
    torch.testing.assert_close(out.inner, theirs(x))


def test_a_net_made_without_memory_and_filled_later():
    right = AlexNet(5, input_size=63, width=0.25, variant="2012").eval()
    with torch.device("meta"):
        net = AlexNet(5, input_size=63, width=0.25, variant="2012")
    net.to_empty(device="cpu").load_state_dict(right.state_dict())
    x = torch.randn(2, 3, 63, 63) * 60
    with ops.plain():
        assert torch.equal(net.eval()(x), right(x))


# ---------------------------------------------------------------- processes and threads

def _norm_in_child(pipe, x):
    pipe.send(MaxPool(3, 2)(LocalResponseNorm(6)(x))[0, 0, 0].tolist())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_after_a_fork(compiled):
    """The child has one thread only: torch's own operators hang there on larger tensors."""
    x = some(2, 6, 30, 30, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        right = MaxPool(3, 2)(LocalResponseNorm(6)(x))[0, 0, 0].tolist()
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        child = context.Process(target=_norm_in_child, args=(theirs, x))
        child.start()
        assert ours.poll(60), "the child hangs"
        assert ours.recv() == right
    finally:
        torch.set_num_threads(threads)
        child.kill()
        child.join()


def test_in_many_threads():
    x, found = some(4, 6, 20, 20, dtype=torch.float32), []

    def work():
        leaf = x.clone().requires_grad_()
        for _ in range(20):
            leaf.grad = None
            MaxPool(3, 2)(LocalResponseNorm(6)(leaf)).sum().backward()
        found.append(leaf.grad)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(torch.equal(one, found[0]) for one in found)


# ---------------------------------------------------------------- the update rule

def one_step(weight, grad, **settings):
    optimizer = PaperSGD([weight], **settings)
    weight.grad = grad
    optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("grad", [
    lambda: torch._neg_view(-torch.ones(2, 3)), lambda: torch.ones(1, 1).expand(2, 3),
    lambda: torch.ones(3, 2).t(), lambda: torch.ones(2, 6)[:, ::2]])
def test_gradients_that_are_views(grad, path):
    weight = nn.Parameter(torch.zeros(2, 3))
    assert torch.equal(one_step(weight, grad(), lr=0.1, weight_decay=0.0),
                       torch.full((2, 3), -0.1))


def test_the_update_rule_on_other_tensors(path):
    with FakeTensorMode():
        one_step(nn.Parameter(torch.empty(4)), torch.empty(4))
    for dtype in (torch.float64, torch.bfloat16):
        out = one_step(nn.Parameter(torch.ones(4, dtype=dtype)), torch.ones(4, dtype=dtype), lr=0.5)
        torch.testing.assert_close(out, torch.full((4,), 1 - 0.5 * 5e-4 - 0.5, dtype=dtype))


@pytest.mark.parametrize("settings", [{"lr": torch.nan}, {"lr": torch.inf}, {"momentum": 1.5},
                                      {"weight_decay": -1.0}, {"lr": -0.1}, {"momentum": 1.0}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(UserError):
        PaperSGD([nn.Parameter(torch.ones(2))], **settings)


def test_groups_of_a_single_layer():
    names = {(group["name"], group["kind"]) for group in parameter_groups(nn.Linear(2, 2))}
    assert names == {("", "weight"), ("", "bias")}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
def test_a_net_in_shards(tmp_path):
    """FSDP2 hands PaperSGD DTensors; one process is enough to meet them."""
    import torch.distributed as dist
    if not hasattr(torch.cpu.Stream(), "record_event"):
        pytest.skip("FSDP2 of this torch needs a GPU")
    from torch.distributed.fsdp import fully_shard
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0,
                            world_size=1)
    try:
        torch.manual_seed(0)
        net, same = (AlexNet(4, input_size=63, width=0.1) for _ in range(2))
        same.load_state_dict(net.state_dict())
        fully_shard(net, mesh=dist.init_device_mesh("cpu", (1,)))
        x = torch.randn(2, 3, 63, 63) * 60
        for model in (net.eval(), same.eval()):
            optimizer = PaperSGD(parameter_groups(model))
            for _ in range(2):
                optimizer.zero_grad()
                F.cross_entropy(model(x), torch.tensor([0, 3])).backward()
                optimizer.step()
        for ours, right in zip(net.parameters(), same.parameters(), strict=True):
            torch.testing.assert_close(ours.full_tensor(), right)
    finally:
        dist.destroy_process_group()


def test_the_update_rule_is_the_plain_one():
    torch.manual_seed(0)
    start = [torch.randn(7), torch.randn(5, 3), torch.randn(4, 3, 2, 2)]
    start[2] = start[2].to(memory_format=torch.channels_last)

    def trained() -> list[torch.Tensor]:
        weights = [w.clone().requires_grad_() for w in start]
        optimizer = PaperSGD(weights, 0.1)
        for step in range(5):
            for w in weights:
                w.grad = (w.detach() * (step - 1)).sin()
            optimizer.step()
        return [w.detach() for w in weights] + [optimizer.state[w]["velocity"] for w in weights]

    fast = trained()
    with ops.plain():
        plain = trained()
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ours.stride() == theirs.stride()


def test_gradients_laid_out_otherwise_are_taken_too():
    weight = torch.ones(3, 4, requires_grad=True)
    weight.grad = torch.arange(12.0).reshape(4, 3).t()
    PaperSGD([weight], 0.1, 0, 0).step()
    torch.testing.assert_close(weight.detach(), 1 - 0.1 * weight.grad)


@pytest.mark.parametrize("fast", [True, False])
def test_going_back_through_weights_that_have_changed_is_an_error(fast):
    with contextlib.nullcontext() if fast else ops.plain():
        first, second = (torch.randn(4, 4, requires_grad=True) for _ in range(2))
        optimizer = PaperSGD([first, second], 0.1)
        loss = (torch.randn(2, 4) @ first @ second).square().sum()
        loss.backward(retain_graph=True)
        optimizer.step()
        assert first._version == second._version > 0
        assert optimizer.state[first]["velocity"]._version > 0
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


# ---------------------------------------------------------------- batches

STORED, SIZE = 40, 33
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, STORED, STORED, 3), dtype=np.uint8)
VECTORS = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("color", ["none", "paper", "2012"])
@pytest.mark.parametrize("mean_at", ["pixel", "center"])
@pytest.mark.parametrize("options", [{}, {"crop": False}, {"flip": False}, {"crop_group_size": 32},
                                     {"gray": True}, {"dtype": torch.bfloat16}])
def test_batches_are_the_plain_ones(color, mean_at, options):
    augment = Augment(SIZE, IMAGES.mean(0), [4e3, 300, 50], VECTORS, color=color,
                      mean_at=mean_at, **options)
    index = torch.from_numpy(RNG.permutation(30)[:24])

    def both():
        for images in (IMAGES, torch.from_numpy(IMAGES)):
            yield augment.train(images, index, torch.Generator().manual_seed(1))
        yield augment.view(IMAGES, index, 7)

    fast = list(both())
    with ops.plain():
        plain = list(both())
    # One bfloat16 apart where the two round to different sides: 1 from 128 on.
    tolerance = 1.0 if options.get("dtype") else 1e-4
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
        assert tolerance < 1 or (ours != theirs).float().mean() < 0.01


@pytest.mark.parametrize("size", [1, 2, STORED])
def test_batches_of_extreme_sizes(size):
    augment = Augment(size, IMAGES.mean(0), mean_at="center")
    fast = augment.train(IMAGES, range(30), torch.Generator().manual_seed(2))
    with ops.plain():
        plain = augment.train(IMAGES, range(30), torch.Generator().manual_seed(2))
    torch.testing.assert_close(fast, plain)


def batch(images=None, index=(0,), top=(0,), left=(0,), mean=None, shift=None, divisor=1.0):
    images = torch.from_numpy(IMAGES) if images is None else images
    mean = torch.zeros(STORED, STORED, 3) if mean is None else mean
    places = [torch.tensor(a, dtype=torch.int64) for a in (index, top, left)]
    return ops.make_batch(images, *places, torch.tensor([False]), SIZE, mean, True, shift, divisor,
                          torch.float32)


@pytest.mark.parametrize("places", [{"index": [30]}, {"index": [-1]}, {"top": [STORED]},
                                    {"top": [-1]}, {"left": [STORED - SIZE + 1]}])
def test_places_outside_are_refused(path, places):
    with pytest.raises(IndexError):
        batch(**places)


@pytest.mark.parametrize("wrong", [
    {"mean": torch.zeros(STORED - 1, STORED, 3)}, {"mean": torch.zeros(STORED, STORED)},
    {"mean": torch.zeros(STORED, STORED, 3, dtype=torch.float64)}, {"index": [0, 1]},
    {"shift": torch.zeros(2, 3)}, {"shift": torch.zeros(1, 3).double()}, {"divisor": 0.0},
    {"images": torch.zeros(2, STORED, STORED - 1, 3, dtype=torch.uint8)}])
def test_a_batch_of_what_does_not_fit_is_refused(path, wrong):
    with pytest.raises(UserError):
        batch(**wrong)


def test_batches_of_memory_in_any_order(path):
    mean = torch.from_numpy(IMAGES).float().mean(0)
    right = batch(mean=mean)
    assert torch.equal(batch(mean=mean.transpose(0, 1).contiguous().transpose(0, 1)), right)
    assert torch.equal(batch(torch.from_numpy(IMAGES).float(), mean=mean), right)
    assert torch.equal(batch(torch.from_numpy(IMAGES.repeat(2, 0))[::2], mean=mean), right)
    assert torch.equal(ops.as_tensor(IMAGES[:, ::-1]), torch.from_numpy(IMAGES).flip(1))
    frozen = IMAGES.copy()
    frozen.flags.writeable = False
    assert torch.equal(batch(ops.as_tensor(frozen), mean=mean), right)
