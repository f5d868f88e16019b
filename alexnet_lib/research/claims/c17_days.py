"""How long 90 cycles take: on the cards of 2012, and on the machine at hand (section 5)."""

import time
from statistics import median

from alexnet_lib import datasets, memory
from alexnet_lib.config import TrainConfig
from alexnet_lib.models import AlexNet, layer_table
from alexnet_lib.research.claims import Claim
from alexnet_lib.training import Trainer

IMAGES = 90 * 1_281_167  # cycles through ILSVRC-2012's training images
GTX_580 = 1.581e12  # its peak in fp32: 512 cores at 1.544 GHz, two operations each
WARM, STEPS = 2, 6
# The whole net; only its last layer has 10 classes instead of 1000, a fifteenth of its parameters.
NET = {"data": "shapes", "variant": "paper", "model": "alexnet", "input_size": 227,
       "stored_size": 256, "width": 1.0}


def measure(seed: int) -> dict:
    """Days that 90 cycles would take here, by whole training steps: crops, forward, backward,
    update; 128 images each, from memory."""
    data = datasets.load("shapes", 256, counts={"train": 256, "val": 10, "test": 10},
                         progress=False)
    run = Trainer(TrainConfig(**NET, seed=seed), data, progress=False)
    run.start_epoch()
    seconds = []
    with memory.keep_freed_memory():  # as `train` does
        for _ in range(WARM + STEPS):
            started = time.perf_counter()
            run.train_step()
            run.collect()  # waits for the device
            seconds.append(time.perf_counter() - started)
    rate = run.config.batch_size / median(seconds[WARM:])
    flops = 6 * sum(row["macs"] for row in layer_table(AlexNet()))  # forth, and twice back
    busy = flops * IMAGES / (5.5 * 86400) / (2 * GTX_580)
    return {"effect": IMAGES / rate / 86400, "images_per_second": rate, "seed": seed,
            "device": run.config.device, "precision": run.config.precision,
            "note": f"another machine than theirs, so no verdict; 5.5 days on two GTX 580 are "
                    f"{busy:.0%} of their peak in float32, which is plausible"}


CLAIMS = (Claim(
    "C17", "5", "90 cycles took five to six days on two GTX 580", "5 to 6 days", "days here",
    measure=measure, tested=False),)
