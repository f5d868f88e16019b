"""The operators behind the layers, registered with PyTorch as `torch.ops.alexnet`.

Each file holds one operator: its plain formula, what it computes without data (for FakeTensor,
meta and the compiler), its gradient and its argument checks. On a CPU the work is done by
kernels.cpp, compiled at first use (`build`); on a CUDA GPU the norm uses Triton (`triton_norm`).
Without either, the plain formula runs and gives the same answers.
"""

import torch

from alexnet_lib.ops.batch import as_tensor, crop, make_batch
from alexnet_lib.ops.build import plain, spelled_out, status, usable
from alexnet_lib.ops.norm import HALF, gpu_kernels, normalize, response_norm
from alexnet_lib.ops.norm import check as check_norm
from alexnet_lib.ops.norm import formula as norm_formula
from alexnet_lib.ops.pool import max_pool, pools
from alexnet_lib.ops.sgd import formula as paper_sgd_formula
from alexnet_lib.ops.sgd import paper_sgd

__all__ = ["HALF", "as_tensor", "check_norm", "crop", "describe", "make_batch", "max_pool",
           "norm_formula", "normalize", "paper_sgd", "paper_sgd_formula", "plain", "pools",
           "response_norm", "spelled_out", "status", "usable"]


def describe() -> str:
    """What computes on this machine and, where it is not the fast path, why."""
    if not torch.cuda.is_available():
        return status()
    bf16 = torch.cuda.get_device_capability()[0] >= 8  # as `devices.pick_precision`
    return f"CPU: {status()}; GPU: {gpu_kernels(torch.bfloat16 if bf16 else torch.float32)[1]}"
