"""The minibatches of a run: which images each step sees, cropped and mirrored.

Everything random in step t is drawn from generators seeded by (seed, t), so a run that was
killed and resumed sees the same minibatches.
"""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from alexnet_lib.augment import Augment
from alexnet_lib.config import TrainConfig
from alexnet_lib.datasets import Split
from alexnet_lib.optim import lr_scheduler
from alexnet_lib.parallel import Group


class Batches:
    """The minibatches of a run, by step.

    In a `group` of processes, each makes its own share of every minibatch. `size` is the number
    of images in a minibatch of all processes together, `per_epoch` the number of minibatches in
    an epoch, `total` that in the whole run. `lr_scheduler` is the run's, which may bring back the
    color noise.
    """

    def __init__(self, config: TrainConfig, train: Split, augment: Augment, group: Group):
        self.config, self.augment, self.group = config, augment, group
        self.images = placed(train.images, config.device)
        self.labels = torch.as_tensor(np.array(train.labels), device=config.device)
        self.size = min(config.batch_size, len(self.images))
        self.per_epoch = max(1, len(self.images) // config.batch_size)
        self.total = self.per_epoch * config.epochs
        self.lr_scheduler = lr_scheduler(config.lr_scheduler, config.epochs, self.per_epoch)
        self._order: tuple[int, Tensor | None] = (-1, None)  # of the images, in one epoch
        # Images that do not fit on the GPU are brought there one batch ahead; not for MPS, which
        # may crash when a second thread uses it.
        elsewhere = config.device.startswith("cuda") and isinstance(self.images, np.ndarray)
        self._worker = ThreadPoolExecutor(1) if elsewhere else None
        self._ahead: dict[int, Future] = {}  # the next batch, under way

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The images (B, C, size, size) float32 and labels (B,) int64 of a step, on the device."""
        if not self._worker:
            return self._make(step)
        made = self._ahead.pop(step, None) or self._worker.submit(self._make, step)
        if step + 1 < self.total:
            self._ahead = {step + 1: self._worker.submit(self._make, step + 1)}
        return made.result()

    def _make(self, step: int) -> tuple[Tensor, Tensor]:
        config, (epoch, at) = self.config, divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            shuffled = torch.randperm(len(self.images), generator=seeded(config.seed, 0, epoch))
            self._order = epoch, shuffled
        index = self._order[1][at * config.batch_size:(at + 1) * config.batch_size]
        noisy = (epoch < round(config.color_until * config.epochs)
                 or self.lr_scheduler.noise_again(epoch))
        share = self.group.shard(len(index))  # of what all processes draw alike
        x = self.augment.train(self.images, index, seeded(config.seed, 1, step),
                               config.color if noisy else "none", share=share)
        return x, self.labels[index[share].to(self.labels.device)]


def placed(images: np.ndarray, device: str):
    """The images on the GPU if they take less than a third of its free memory, else as they are."""
    if device.startswith("cuda") and images.nbytes < torch.cuda.mem_get_info(device)[0] / 3:
        with warnings.catch_warnings():  # that the store may not be written: nobody will
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return images


def seed_for(seed: int, stream: int, step: int) -> int:
    """One of 2**63 seeds for each step of each stream of random numbers of a run."""
    return int(np.random.SeedSequence([seed, stream, step]).generate_state(1, np.uint64)[0]) >> 1


def seeded(seed: int, stream: int, step: int) -> torch.Generator:
    """A generator that starts at `seed_for(seed, stream, step)`."""
    return torch.Generator().manual_seed(seed_for(seed, stream, step))
