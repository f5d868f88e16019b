"""A trained net as one ONNX file, for other programs: raw pixels in, answers out."""

import copy
import importlib.util
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from alexnet_lib.augment import Augment
from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.errors import UserError
from alexnet_lib.weights import LoadedModel

LARGEST = 2_000_000_000  # bytes of weights: a protobuf file ends at 2 GiB
TOLERANCE = 1e-3  # on probabilities, and on outputs relative to the largest


class FromPixels(nn.Module):
    """A net and the preparation of its input in one module.

    Input: (batch, 3, size, size), RGB values of 0-255, float32 or uint8: the center crop of a
    stored image. It subtracts the mean training image, divides by `divide`, averages the channels
    for a net of one channel, and returns logits, or probabilities, of shape (batch, classes).
    """

    mean_image: Tensor

    def __init__(self, net: nn.Module, augment: Augment, probabilities: bool = False):
        super().__init__()
        start, size = (augment.stored - augment.size) // 2, augment.size
        mean = augment.mean[start:start + size, start:start + size].permute(2, 0, 1)
        self.register_buffer("mean_image", mean.contiguous())
        self.net, self.input_divisor, self.gray = net, augment.input_divisor, augment.gray
        self.probabilities = probabilities

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - self.mean_image) / self.input_divisor
        logits = self.net(x.mean(1, keepdim=True) if self.gray else x)
        return logits.softmax(1) if self.probabilities else logits


def export_onnx(net: LoadedModel, path: str | Path, probabilities: bool = False,
                uint8: bool = False) -> float | None:
    """Write a net as an ONNX file whose input is raw pixels, and compare its answers.

    The file has one input, `pixels`: (batch, 3, size, size), RGB values of 0-255, float32 or,
    if `uint8`, bytes; the batch may be of any size. Its one output, (batch, classes), is called
    `logits` or `probabilities`. Subtracting the mean is part of the graph (`FromPixels`). The
    file's metadata say how to get such a crop from a picture (`preparation`, `input_size`,
    `stored_size`) and name the `classes`, as a JSON list. Weights are fp32.

    Args:
        net: from `load_model` or `torchvision_alexnet`.
        path: the file to write, usually with the ending .onnx.
        probabilities: add a softmax.
        uint8: take bytes instead of floats.

    Returns: the largest difference between the probabilities of onnxruntime and of PyTorch on
    random images, or None if onnxruntime is not installed. Raises UserError if the packages of
    the extra `onnx` are missing, if the net is too large for one file, or if the answers differ.
    """
    missing = [name for name in ("onnx", "onnxscript") if not importlib.util.find_spec(name)]
    if missing:
        raise UserError(f"ONNX export needs {' and '.join(missing)}: pip install "
                        f"{' '.join(missing)}")
    if sum(4 * t.numel() for t in net.model.state_dict().values()) > LARGEST:
        raise UserError("the net does not fit into an ONNX file, which holds 2 GB: export one of "
                        "smaller width")
    own = copy.deepcopy(net.model)  # the caller's stays on its device
    whole = FromPixels(own, net.augment, probabilities).float().cpu().eval()
    size, dtype = net.augment.size, torch.uint8 if uint8 else torch.float32
    output = "probabilities" if probabilities else "logits"
    program = torch.onnx.export(
        whole, (torch.zeros(2, 3, size, size, dtype=dtype),), dynamo=True, verbose=False,
        input_names=["pixels"], output_names=[output],
        dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert program is not None  # as with dynamo=True
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    program.model.metadata_props.update({
        "classes": json.dumps(net.classes, ensure_ascii=False), "input_size": str(size),
        "stored_size": str(net.augment.stored),
        "preparation": f"Scale the shorter side of the picture to {net.augment.stored} pixels "
                       f"(bilinear, antialiased) and cut out its central {size} x {size} pixels, "
                       "as RGB values of 0-255 in the order channel, row, column. The mean is "
                       "subtracted in the graph."})
    difference = None

    def write(file: Path) -> None:
        nonlocal difference
        program.save(str(file), external_data=False)
        difference = _difference(file, whole, dtype)

    write_atomically(Path(path), write)
    return difference


@torch.no_grad()
def _difference(file: Path, whole: FromPixels, dtype: torch.dtype) -> float | None:
    """How far onnxruntime's probabilities are from PyTorch's.

    Removes the file and raises UserError if that is too far.
    """
    if not importlib.util.find_spec("onnxruntime"):
        return None
    import onnxruntime
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (3, *whole.mean_image.shape), generator=generator).to(dtype)
    ours, theirs = whole(pixels), torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])
    scaled = (theirs - ours).abs().max() / ours.abs().max()
    if not whole.probabilities:
        ours, theirs = ours.softmax(1), theirs.softmax(1)
    difference = (theirs - ours).abs().max()
    if not max(difference, scaled) < TOLERANCE:  # a NaN is no agreement either
        file.unlink()
        raise UserError(f"onnxruntime's answers differ by {float(difference):.1e} from PyTorch's, "
                        "so the file was not written: update onnxruntime and onnxscript")
    return float(difference)
