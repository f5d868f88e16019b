"""Asking a net where it looks and what it likes: Grad-CAM, and images made to excite its units."""

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib.config import autocast
from alexnet_lib.errors import UserError
from alexnet_lib.features import check_units, convolutions, named
from alexnet_lib.probe import probe
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel


def grad_cam(net: LoadedModel | Trainer, x: Tensor, classes, layer: str = "") -> Tensor:
    """Where an image speaks for a class, by Grad-CAM (Selvaraju and others, 2017).

    Each feature map of a layer is weighted by the mean gradient of the class's score with respect
    to it. The weighted sum, cut off at zero, is enlarged to the image.

    Args:
        x: (B, 3, side, side), what the net takes, as from `net.augment.view`.
        classes: B class numbers, or one for all.
        layer: one that gives feature maps; by default the last ReLU of the convolutions.

    Returns: (B, side, side), 0 or more, in units of the score. Raises UserError.
    """
    layer = layer or convolutions(net)[-1].replace("conv", "act")
    net.model.eval()
    with torch.enable_grad(), autocast(net.config), probe({layer: named(net, layer)}) as seen:
        scores = net.model(x.detach().requires_grad_())
        maps = seen[layer]
        if maps.dim() != 4:
            raise UserError(f"{layer} gives no feature maps: use a layer of the convolutions")
        classes = torch.as_tensor(classes, device=scores.device).expand(len(x))
        check_units(classes.tolist(), "the last layer", scores.shape[1])
        [gradient] = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), maps)
    weights = gradient.mean((2, 3), keepdim=True)
    found = (weights * maps).sum(1, keepdim=True).relu().detach().float()
    return F.interpolate(found, x.shape[-2:], mode="bilinear")[:, 0].cpu()
