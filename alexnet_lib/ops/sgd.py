"""The paper's update rule (section 5), in place."""

import torch
from torch import Tensor

from alexnet_lib.errors import UserError
from alexnet_lib.ops import build
from alexnet_lib.ops.registry import operator


def formula(weights: list[Tensor], velocities: list[Tensor], gradients: list[Tensor],
            lr: float, momentum: float, weight_decay: float) -> None:
    """`paper_sgd` by PyTorch's own operators: on a GPU, a few kernels instead of dozens."""
    torch._foreach_mul_(velocities, momentum)
    if weight_decay:
        torch._foreach_add_(velocities, weights, alpha=-lr * weight_decay)
    torch._foreach_add_(velocities, gradients, alpha=-lr)
    torch._foreach_add_(weights, velocities)


@operator("(Tensor(a!)[] weights, Tensor(b!)[] velocities, Tensor[] gradients, float lr, "
          "float momentum, float weight_decay) -> ()")
def paper_sgd(weights: list[Tensor], velocities: list[Tensor], gradients: list[Tensor],
              lr: float, momentum: float, weight_decay: float) -> None:
    """One step of the update rule for tensors of the same settings, in place.

        velocity <- momentum * velocity - weight_decay * lr * weight - lr * gradient
        weight <- weight + velocity

    A weight, its velocity and its gradient have one shape. Raises UserError.
    """
    _check(weights, velocities, gradients)
    torch.autograd.graph.increment_version([*weights, *velocities])
    others = []
    for triple in zip(weights, velocities, gradients, strict=True):
        if not _packed(*triple):
            others.append(triple)
            continue
        settings = build.UpdateSettings(triple[0].numel(), lr=lr, momentum=momentum,
                                        weight_decay=weight_decay)
        build.call("paper_sgd", settings, 4, *triple)
    if others:
        weights, velocities, gradients = map(list, zip(*others, strict=True))
        formula(weights, velocities, gradients, lr, momentum, weight_decay)


def _packed(weight: Tensor, velocity: Tensor, gradient: Tensor) -> bool:
    """Whether the kernel can take them: float32 on a CPU, laid out alike, no gaps."""
    return (weight.stride() == velocity.stride() == gradient.stride()
            and weight.dtype == velocity.dtype == gradient.dtype == torch.float32
            and (weight.is_contiguous()
                 or weight.is_contiguous(memory_format=torch.channels_last))
            and build.usable(weight))


def _check(weights, velocities, gradients) -> None:
    for weight, velocity, gradient in zip(weights, velocities, gradients, strict=True):
        if not weight.shape == velocity.shape == gradient.shape:
            raise UserError(f"a weight of {tuple(weight.shape)}, a velocity of "
                            f"{tuple(velocity.shape)} and a gradient of {tuple(gradient.shape)} "
                            "do not belong together")


@paper_sgd.register_fake
def _(weights, velocities, gradients, lr, momentum, weight_decay):
    _check(weights, velocities, gradients)
