"""Training under a learner's eyes: a picture that grows, and buttons that stop and go on.

The run goes on in a thread of its own, so that the notebook stays alive and hears the buttons.
Where widgets do not work, `wait` still shows a progress bar.
"""

import dataclasses
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from tqdm import tqdm

from alexnet_lib import datasets
from alexnet_lib.checkpoints import CHECKPOINT, read_config
from alexnet_lib.choices import VARIANTS, NetConfig, TrainConfig
from alexnet_lib.config import resolve
from alexnet_lib.course.plots import as_html
from alexnet_lib.course.plots.nb09 import progress
from alexnet_lib.errors import UserError
from alexnet_lib.training import Trainer, begin, current_lr, go_on

try:
    import ipywidgets

    from alexnet_lib.course.widgets import Controls
except ImportError:
    class Unseen:
        """In place of every widget: keeps what it is told and shows nothing."""

        def __init__(self, *_children, **told):
            self.__dict__.update(told)

        def __repr__(self):
            return ("there are no buttons without ipywidgets: call wait(), which trains under a "
                    "progress bar, or install ipywidgets")

        def _ignore(self, *_):
            pass

        on_click = observe = send_state = _ignore

    ipywidgets = SimpleNamespace(**dict.fromkeys((
        "BoundedFloatText", "BoundedIntText", "Button", "Dropdown", "HBox", "HTML", "IntProgress",
        "Label", "Layout", "Text"), Unseen))
    Controls = Unseen

EVERY = 2.0  # seconds between two pictures
POLL = 0.5  # seconds between two looks of `wait` at the run
FIELDS = ("epochs", "batch_size", "lr", "variant", "data")  # choices of a TrainConfig
WORDS = {"lr": "rate", "batch-size": "minibatch"}  # options that the fields call otherwise

# CIFAR's images have a net and sizes of their own: these choices do not go to them, nor back.
OF_THE_NET = (*(one.name for one in dataclasses.fields(NetConfig)), "stored_size", "lr")


def in_words(message: str) -> str:
    """A message that names options of the command line, in the words of the dashboard."""
    return re.sub(r"(?<!\S)--([a-z-]+)",
                  lambda option: WORDS.get(option[1], option[1].replace("-", "_")), message)


class Dashboard(Controls):
    """Trains a net as `config` says, when its button is pressed or `wait` is called.

    Args:
        config: of the run. With `out`, a checkpoint is kept there, and a dashboard made anew (after
            a restart of the kernel, say) goes on from it, with the choices that it was begun with.
        dataset: instead of loading `config.data`.
        adjust: show fields for epochs, minibatch, rate, variant and data; they count when a run
            begins. Those that nobody touched follow the data.

    Display it as the last expression of a cell. `run` is the `training.Trainer`, once it is there.
    """

    words = "Buttons and a picture stand here once this cell has run."

    def __init__(self, config: TrainConfig, dataset: datasets.Dataset | None = None,
                 adjust: bool = True):
        self.config, self.dataset, self.run = config, dataset, None
        self._thread, self._stop, self._error = None, threading.Event(), None
        # Not the thread's own end: a join that is interrupted takes it for ended (before 3.13).
        self._rests = threading.Event()
        self._rests.set()
        self._drawn = self._sent = 0.0  # when the last picture was made, and the last one sent
        self.fields = self._make_fields() if adjust else {}
        self.start = ipywidgets.Button(icon="play", button_style="primary")
        self.stop = ipywidgets.Button(description="Stop", icon="stop")
        self.start.on_click(lambda _: self.begin())
        self.stop.on_click(lambda _: self._stop.set())
        self.bar = ipywidgets.IntProgress(max=1, layout=ipywidgets.Layout(width="100%"))
        self.status = ipywidgets.Label(
            value=f"ready to go on with the run in {config.out}" if self._kept() else "ready")
        self.picture = ipywidgets.HTML()
        self._allow(busy=False)
        super().__init__([ipywidgets.HBox([*self.fields.values()],
                                          layout=ipywidgets.Layout(flex_flow="row wrap")),
                          ipywidgets.HBox([self.start, self.stop]), self.bar, self.status,
                          self.picture])

    def _make_fields(self) -> dict:
        usual = self._usual = resolve(self._with(
            {name: value for name, value in read_config(self.config.out).items()
             if name in FIELDS}))  # what a run was begun with: it takes nothing else

        def field(kind, name: str, description: str, **more):
            return kind(value=getattr(usual, name), description=description,
                        style={"description_width": "initial"}, **more)

        batches = sorted({32, 64, 128, 256, 512, usual.batch_size})
        fields = (field(ipywidgets.BoundedIntText, "epochs", "epochs", min=1, max=10_000),
                  field(ipywidgets.Dropdown, "batch_size", "minibatch", options=batches),
                  field(ipywidgets.BoundedFloatText, "lr", "rate", min=1e-7, max=10, step=0.001),
                  field(ipywidgets.Dropdown, "variant", "variant", options=VARIANTS[usual.model]),
                  field(ipywidgets.Text, "data", "data", continuous_update=False,
                        tooltip="shapes, cifar10, flowers, imagenette or folder:PATH"))
        fields[-1].observe(self._follow_data, "value")
        return dict(zip(FIELDS, fields, strict=True))

    def _with(self, choices: dict) -> TrainConfig:
        """The configuration with these choices in place of its own."""
        config, data = self.config, choices.get("data", self.config.data)
        if data.startswith("cifar") != config.data.startswith("cifar"):
            usual = TrainConfig()
            config = dataclasses.replace(config, **{n: getattr(usual, n) for n in OF_THE_NET})
        return dataclasses.replace(config, **choices)

    def _follow_data(self, change: dict) -> None:
        """Give the fields that nobody touched what fits the data that is named now."""
        try:
            usual = resolve(self._with({"data": change["new"]}))
        except UserError as error:
            self.status.value = f"⚠ {in_words(str(error))}"
            return
        untouched = [name for name, field in self.fields.items()
                     if field.value == getattr(self._usual, name)]
        self.fields["variant"].options = VARIANTS[usual.model]
        for name in untouched:
            self.fields[name].value = getattr(usual, name)
        self._usual, self.status.value = usual, "ready"

    def _kept(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return bool(self.config.out) and (Path(self.config.out) / CHECKPOINT).exists()

    def _allow(self, busy: bool) -> None:
        """Which buttons can be pressed, and which fields changed."""
        begun = self.run is not None
        self.start.description = "Continue" if begun or self._kept() else "Train"
        self.start.disabled = busy or (begun and self.run.finished)
        self.stop.disabled = not busy
        for field in self.fields.values():
            field.disabled = busy or begun

    def begin(self) -> None:
        """Start the run, or go on where it was stopped; does nothing while it is under way."""
        if not self._rests.is_set():
            return
        self._rests.clear()
        self._stop.clear()
        self._error = None
        self._allow(busy=True)
        self._thread = threading.Thread(target=self._train, args=(torch.get_num_threads(),),
                                        daemon=True)
        self._thread.start()

    def wait(self) -> Trainer:
        """Wait until the run ends or is stopped, and return it.

        It is started here if nobody has, or again if an error ended it. Shows a progress bar on
        stderr. Interrupting the cell stops the run, as the button does; where buttons are only
        heard between cells (Colab), it is the way. Raises the run's error.
        """
        if self._thread is None or self._error:
            self.begin()
        try:
            self._watch()
        except KeyboardInterrupt:
            self._stop.set()
            self._rests.wait()
            self._send()
        if self._error:
            raise self._error
        done = self.run.finished
        print(f"trained: {len(self.run.history)} epochs" if done else
              f"stopped at step {self.run.step} of {self.run.total_steps}: press Continue, or call "
              "begin(), and run this cell again, or go on with the net as it is")
        return self.run

    def _watch(self) -> None:
        """Show a bar until the run rests, and send the widgets: Colab shows no other thread's."""
        with tqdm(total=1, bar_format="{percentage:3.0f}%|{bar}| {desc}") as bar:
            over = False
            while not over:
                over, run = self._rests.wait(POLL), self.run
                if run:
                    bar.total, bar.n = run.total_steps, run.step
                bar.set_description_str(self.status.value)
                self._send()

    def _send(self) -> None:
        """Send once more, from the thread that calls this, what a run changes."""
        for widget in (self.bar, self.status, self.start, self.stop, *self.fields.values()):
            widget.send_state()
        if self._sent != self._drawn:
            self._sent = self._drawn
            self.picture.send_state("value")

    def _train(self, threads: int) -> None:
        torch.set_num_threads(threads)  # a new thread does not inherit it
        try:
            if self.run is None:
                self._say("loading the data")
                # What nobody touched may yet go by the number of images, but not in a run begun.
                config = self._with({name: field.value for name, field in self.fields.items()
                                     if name == "data" or self._kept()
                                     or field.value != getattr(self._usual, name)})
                given = self.dataset if config.data == self.config.data else None
                self.run = begin(config, given, resume=self._kept(), progress=False)
                self.bar.max = self.run.total_steps
                for name in ("epochs", "batch_size"):
                    self.fields[name].value = getattr(self.run.config, name)
            self._began, self._from = time.monotonic(), self.run.step
            go_on(self.run, progress=False, on_step=self._after_step)
            self._draw()
            self._say("done" if self.run.finished else "stopped")
        except Exception as error:
            self._fail(error)
        finally:
            self._allow(busy=False)
            self._rests.set()

    def _fail(self, error: Exception) -> None:
        """Tell the error, and drop the run: a net whose loss is NaN is nothing to go on with."""
        self.run, self._error = None, error
        if isinstance(error, UserError):
            error.args = (in_words(str(error)),)
        self.status.value = f"⚠ {error}" if isinstance(error, UserError) else repr(error)

    def _after_step(self, run: Trainer) -> bool:
        if time.monotonic() - self._drawn > EVERY:
            run.collect()
            self._draw()
            self._say("training")
        return self._stop.is_set()

    def _draw(self) -> None:
        run = self.run
        figure = progress(run.losses, run.history, run.steps_per_epoch, run.config.epochs,
                          len(run.classes))
        self.picture.value = as_html(figure, f"Loss and errors up to step {run.step}")
        self._drawn = time.monotonic()

    def _say(self, what: str) -> None:
        run = self.run
        if run is None or not run.losses:
            self.status.value = what
            return
        self.bar.value = run.step
        pace = (run.step - self._from) / max(time.monotonic() - self._began, 1e-9)
        left = (run.total_steps - run.step) / pace if pace else 0
        parts = [what, f"epoch {min(run.epoch + 1, run.config.epochs)} of {run.config.epochs}",
                 f"step {run.step} of {run.total_steps}", f"loss {run.losses[-1]:.3f}",
                 f"rate {current_lr(run.optimizer):.2g}",
                 f"{pace * run.in_batch:.0f} images/s"]
        if what == "training":
            parts.append(f"{left:.0f} s left" if left < 120 else f"{left / 60:.0f} min left")
        self.status.value = " · ".join(parts)
