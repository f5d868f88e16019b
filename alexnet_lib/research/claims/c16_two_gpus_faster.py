"""Time of the two-column net on two devices against the one-column net on one (section 3.2)."""

from statistics import median

import torch

from alexnet_lib.models import AlexNet
from alexnet_lib.parallel import run_columns, run_processes, train_columns, train_whole
from alexnet_lib.research.claims import Claim, c03_two_columns

SIZE, BATCH, STEPS = 227, 32, 5
ONE_COLUMN = c03_two_columns.CLAIMS[0].arms[1].settings


def race(seed: int) -> dict:
    """Seconds of a training step: the two columns, a process each, and the one in one process.

    Each process has one thread and, where there are two, a GPU of its own. The first step of
    each, in which memory is found, is left out; which net begins changes from seed to seed.
    """
    torch.manual_seed(seed)
    batches = [(torch.randn(BATCH, 3, SIZE, SIZE) * 60, torch.randint(1000, (BATCH,)))
               for _ in range(STEPS)]
    runs = [("two", lambda: run_columns(
                train_columns, AlexNet(input_size=SIZE), batches, timeout=900)),
            ("one", lambda: run_processes(
                1, train_whole, AlexNet(input_size=SIZE, **ONE_COLUMN), batches, timeout=900))]
    seconds, sent = {}, 0
    for name, run in runs if seed % 2 else reversed(runs):
        found = run()
        # A step has ended when both have ended it.
        steps = [max(times) for times in zip(*(part["seconds"] for part in found), strict=True)]
        seconds[name] = median(steps[1:])
        sent += sum(sum(part.get("sent", {}).values()) for part in found)
    return {"effect": seconds["one"] / seconds["two"], "seconds_of_a_step": seconds,
            "bytes_sent_in_a_step": sent // STEPS, "images_in_a_step": BATCH, "seed": seed}


CLAIMS = (Claim(
    "C16", "3.2", "The two-GPU net trains slightly faster than the one-GPU net", "no figure",
    "times as fast", measure=race, null=1.0, margin=0.02,
    note="a process with one core for each GPU, float32, 32 images in a step"),)
