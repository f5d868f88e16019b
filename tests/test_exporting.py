"""What other programs make of a net: ONNX files, recorded graphs, nets built without memory."""

import copy
import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from alexnet_lib import cli, exporting
from alexnet_lib.checkpoints import kind_of
from alexnet_lib.config import TrainConfig, build_augment, build_model, resolve
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import probabilities
from alexnet_lib.exporting import export_onnx
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.weights import LoadedModel

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporters' own
CLASSES = ("tench", "Füßling", "gas pump", "chain saw")
SMALL = {"width": 0.06, "hidden": 512, "variant": "2012"}
CIFAR = {"model": "cifar", "input_size": 32, "stored_size": 32}
NETS = {  # each choice that changes the graph, in few files: each takes seconds
    "2012, silent columns, gray": SMALL | {
        "connect_columns": False, "in_channels": 1, "input_size": 59},
    "paper, tanh, divided": SMALL | {
        "variant": "paper", "activation": "tanh", "input_divisor": 58.0, "omit_layer": "conv3",
        "pool": (2, 2), "input_size": 67},
    "one column": SMALL | {"columns": 1, "omit_layer": "norm2", "input_size": 227},
    "18pct": CIFAR | {"variant": "18pct"},
    "cross-map": CIFAR | {"variant": "cross-map"},
}
FAST = CIFAR | {"variant": "four-layer"}


@torch.no_grad()
def spread(net, x):
    """Weights with which the norms matter, and answers that differ from image to image."""
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=(2 / p[0].numel()) ** 0.5)
    last, logits = net.classifier[-1], net.eval()(x)
    last.weight *= 2 / (logits - logits.mean(0)).std()
    last.bias -= net(x).mean(0)
    return net


def loaded(**choices):
    torch.manual_seed(0)
    config = resolve(TrainConfig(data="folder:none", num_classes=4, device="cpu", precision="fp32",
                                 color="none", **choices))
    mean = np.random.default_rng(0).uniform(60, 200, (config.stored_size,) * 2 + (3,))
    augment = build_augment(config, mean.astype(np.float32), None, None)
    net = LoadedModel(build_model(config), config, CLASSES, augment, {})
    spread(net.model, augment.view(pictures(net)[0], range(5)))
    return net


def pictures(net, count=5):
    """Stored images, and the central crops that an ONNX file takes."""
    side = net.augment.stored
    coarse = np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), np.uint8)
    stored = coarse.repeat(side // 4 + 1, 1).repeat(side // 4 + 1, 2)[:, :side, :side]
    start = (side - net.augment.size) // 2
    part = slice(start, start + net.augment.size)
    return stored, np.ascontiguousarray(stored[:, part, part].transpose(0, 3, 1, 2))


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", NETS)
def test_onnx_answers_as_the_net_does(name, tmp_path):
    net = loaded(**NETS[name])
    assert export_onnx(net, tmp_path / "n.onnx", probabilities=True, uint8=True) < 1e-4
    stored, crops = pictures(net)
    run = session(tmp_path / "n.onnx")
    found, = run.run(["probabilities"], {"pixels": crops})
    wanted = probabilities(net, stored).numpy()
    assert np.ptp(wanted, axis=0).max() > 0.05  # else any file would do
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    one, = run.run(None, {"pixels": crops[:1]})  # any batch
    np.testing.assert_allclose(one, wanted[:1], atol=1e-4)


def test_the_commands_file_takes_floats_gives_logits_and_describes_itself(
        tmp_path, monkeypatch, capsys):
    net = loaded(**FAST)
    monkeypatch.setattr(cli, "_loaded", lambda checkpoint, device: net)
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", "--checkpoint", "c", "--onnx", str(tmp_path / "n.onnx")])
    assert stop.value.code == 0 and "differ by at most" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["n.onnx"]
    stored, crops = pictures(net)
    run = session(tmp_path / "n.onnx")
    logits, = run.run(["logits"], {"pixels": crops.astype(np.float32)})
    with torch.no_grad():
        wanted = net.model(net.augment.view(stored, range(5)))
    torch.testing.assert_close(torch.from_numpy(logits), wanted, rtol=1e-4, atol=1e-4)
    told = run.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(told["classes"])) == CLASSES
    assert (told["input_size"], told["stored_size"]) == ("32", "32")
    assert "shorter side" in told["preparation"]
    assert run.get_inputs()[0].shape[1:] == [3, 32, 32]
    model = onnx.load(tmp_path / "n.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props for node in model.graph.node)  # they name paths
    assert kind_of(tmp_path / "n.onnx") == "ONNX"  # so that another can replace it


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path, monkeypatch):
    class Other:
        def __init__(self, path, providers):
            pass

        def run(self, names, given):
            return [np.full((3, 4), np.nan, np.float32)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Other)
    with pytest.raises(UserError, match="differ"):
        export_onnx(loaded(**FAST), tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_packages_and_nets_that_are_too_large_are_told(tmp_path, monkeypatch):
    net = loaded(**FAST)
    real = exporting.importlib.util.find_spec

    def without(name):
        monkeypatch.setattr(exporting.importlib.util, "find_spec",
                            lambda asked, *more: None if asked == name else real(asked, *more))

    without("onnxscript")
    with pytest.raises(UserError, match="pip install onnxscript"):
        export_onnx(net, tmp_path / "n.onnx")
    without("onnxruntime")
    assert export_onnx(net, tmp_path / "n.onnx") is None
    with torch.device("meta"):
        net.model = AlexNet(width=4)
    with pytest.raises(UserError, match="2 GB"):
        export_onnx(net, tmp_path / "large.onnx")


@pytest.mark.parametrize("options, words", [
    ([], "--out"), (["--features", "--onnx", "n"], "--features"),
    (["--uint8", "--out", "n"], "--onnx"), (["--onnx", "no/n"], "no folder")])
def test_options_that_do_not_fit(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", "--checkpoint", "nowhere", *options])
    assert stop.value.code == 2 and words in capsys.readouterr().err


# The net alone, in the hands of PyTorch's own tools.

@pytest.fixture(params=["paper", "2012", "silent", "18pct", "cross-map"])
def net(request):
    torch.manual_seed(0)
    kind = request.param
    net = (CifarNet(variant=kind) if kind in ("18pct", "cross-map") else
           AlexNet(10, input_size=67, width=0.06, connect_columns=kind != "silent",
                   variant="paper" if kind == "paper" else "2012"))
    return spread(net, made_for(net))


def made_for(net):
    return torch.randn(3, 3, net.input_size, net.input_size) * 60


@pytest.fixture
def x(net):
    return made_for(net)


@torch.no_grad()
def alike(found, net, x):
    torch.testing.assert_close(found(x), net(x), rtol=1e-4, atol=1e-4)
    return True


@pytest.mark.parametrize("net, dynamo", [("2012", True), ("2012", False), ("18pct", False)],
                         indirect=["net"])
def test_plain_onnx_export(net, x, dynamo, tmp_path):
    batch = ({"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else
             {"dynamic_axes": {"x": {0: "batch"}}})
    file = str(tmp_path / "n.onnx")
    try:
        torch.onnx.export(net, (x[:2],), file, dynamo=dynamo, input_names=["x"], **batch)
    except TypeError:
        pytest.skip("this version of PyTorch has no other exporter")
    run = session(file)
    assert alike(lambda x: torch.from_numpy(run.run(None, {"x": x.numpy()})[0]), net, x)


def test_fx_records_it(net, x):
    assert alike(torch.fx.symbolic_trace(net), net, x)


def test_feature_extractor(net, x):
    from torchvision.models.feature_extraction import create_feature_extractor
    found = create_feature_extractor(net, {"features.conv3": "conv3"})(x)["conv3"]
    seen = []
    with net.features.conv3.register_forward_hook(lambda layer, given, out: seen.append(out)):
        net(x)
    torch.testing.assert_close(found, seen[0], rtol=1e-4, atol=1e-2)


def test_fx_quantization(net, x):
    fx = pytest.importorskip("torch.ao.quantization.quantize_fx")
    from torch.ao.quantization import get_default_qconfig_mapping
    prepared = fx.prepare_fx(copy.deepcopy(net), get_default_qconfig_mapping(), (x,))
    assert alike(prepared, net, x)
    assert fx.convert_fx(prepared)(x).isfinite().all()


def test_jit_trace_is_saved_and_loaded(net, x):
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, x[:2]), file)
    file.seek(0)
    assert alike(torch.jit.load(file), net, x)


@pytest.mark.parametrize("net", ["silent", "cross-map"], indirect=True)
def test_export_with_any_batch(net, x):
    program = torch.export.export(net, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert alike(program.module(), net, x)


def test_jit_script_is_refused_in_a_line(net):
    with pytest.raises(UserError, match="torch.jit.trace"):
        torch.jit.script(net)


def test_built_without_memory_then_filled(net, x):
    kind = type(net)
    options = ({"variant": net.variant} if kind is CifarNet else
               {"num_classes": 10, "input_size": 67, "width": 0.06, "variant": net.variant,
                "connect_columns": isinstance(net.classifier.fc6, nn.Linear)})
    with torch.device("meta"):
        other = kind(**options)
    other = other.to_empty(device="cpu").eval()
    for t in (*other.parameters(), *other.buffers()):
        t.data.fill_(torch.nan)  # what uninitialized memory may hold
    other.load_state_dict(net.state_dict())
    assert alike(other, net, x)
