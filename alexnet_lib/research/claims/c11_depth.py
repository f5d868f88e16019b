"""Depth (section 7): the net with one of its convolutional layers removed."""

from alexnet_lib.research.claims import Arm, Claim


def removed(id: str, layer: str) -> Claim:
    """The whole net against the net without `layer`, whose pooling stays."""
    return Claim(
        id, "7", f"Removing {layer} costs about 2 points", "about 2 points top-1", "points",
        ("imagenette",), (Arm("whole"), Arm(f"without {layer}", {"omit_layer": layer})),
        figure=(1.5, 2.5))


# "removing any convolutional layer": the 2 points are of the middle ones.
CLAIMS = (removed("C11", "conv3"), removed("C11b", "conv4"), removed("C11c", "conv5"),
          removed("C11d", "conv1"), removed("C11e", "conv2"))
