"""Runs of the authors' lab notes that the paper does not mention, repeated small.

Their numbers are top-1 errors on ILSVRC-2012, ten views, one run each (layers/layer-params-N.cfg).
"""

from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.verdicts import LOG, OURS

REFERENCE = Arm("as run #145")


def note(id: str, section: str, statement: str, paper: str, kept: Arm, left_out: Arm,
         note: str = "", figure: tuple[float, float] | None = None, alike: bool = False,
         **settings) -> Claim:
    """How much more the second arm errs than the first, in points.

    Without a figure, and unless both are to err alike, the notes make no such claim.
    """
    return Claim(id, section, statement, paper, "points", ("imagenette",), (kept, left_out),
                 settings=settings, note=note, figure=figure, alike=alike,
                 asked=LOG if figure or alike else OURS)


CLAIMS = (
    note("S01", "run #167", "The two norms over conv2 lower the error", "-0.17 points, one run",
         REFERENCE, Arm("without norm2", {"omit_layer": "norm2"}),
         "#167 had another schedule as well"),
    note("S02", "run #150", "Columns that communicate err less than silent ones",
         "1.17 points, one run",
         REFERENCE, Arm("silent", {"connect_columns": False, "channels": (96, 320, 384, 384, 256),
                                   "hidden": 5792}),
         "the silent net gets about as many parameters: conv2 as in #150, fc6 and fc7 wider",
         (1.165, 1.175)),
    note("S03", "run #145", "Raising the learning rate once more at the end lowers the error",
         "0.41 points, one run, 135 epochs against 91",
         Arm("restarted", {"lr_scheduler": "restart"}),
         Arm("lowered once", {"lr_scheduler": "145"}), "here both arms have 30 epochs",
         (0.405, 0.415), epochs=30),
    note("S03b", "run #145", "The same as in the log: restarted, and half as long again",
         "0.41 points, one run, 135 epochs against 91",
         Arm("restarted", {"lr_scheduler": "restart", "epochs": 30}),
         Arm("ended", {"lr_scheduler": "145"}), "30 epochs against 20", (0.405, 0.415)),
    note("S04", "the 2012 source", "A crop for each image errs less than one for 32", "no figure",
         Arm("per image", {"crop_group_size": 1}), REFERENCE, "convdata_jpeg.py:77,238-246"),
    note("S05", "the 2012 source", "Initial weights of 0.03 in conv3-5 lower the error",
         "no figure",
         REFERENCE, Arm("0.01", {"init": "paper"}),
         "layers-145.cfg; 0.060 against 0.020 in these nets, a quarter as wide"),
    note("S06", "the 2012 source", "Biases that learn twice as fast lower the error", "no figure",
         REFERENCE, Arm("equal", {"bias_lr_factor": 1.0}), "layer-params-145.cfg:18-19"),
    note("S07", "the 2012 source", "The net of the program errs less than that of the text",
         "no figure", REFERENCE, Arm("by the text", {"variant": "paper"}),
         "at once: norms, initial weights, the biases' factor of two, crops, mean, color noise"),
    note("S08", "run #170-256",
         "Batches of 256 at twice the learning rate err as much as those of 128",
         "“matches #170 exactly”, one run", REFERENCE, Arm("256", {"batch_size": 256}),
         "each with its own best rate; layer-params-170-256-double.cfg:202-203", alike=True),
)
