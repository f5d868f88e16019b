"""Training under a learner's eyes: a picture that grows, and buttons that stop and go on.

The run goes on in a thread of its own, so that the notebook stays alive and hears the buttons.
"""

import dataclasses
import io
import threading
import time
from pathlib import Path

import ipywidgets
import torch

from alexnet_lib import datasets
from alexnet_lib.checkpoints import CHECKPOINT
from alexnet_lib.config import TrainConfig
from alexnet_lib.errors import UserError
from alexnet_lib.plots.training import progress
from alexnet_lib.training import Trainer, begin, current_rate, go_on

EVERY = 2.0  # seconds between two pictures


class Dashboard(ipywidgets.VBox):
    """Trains a net as `config` says, when its button is pressed or `wait` is called.

    Args:
        config: of the run. With `out`, a checkpoint is kept there, and a dashboard made anew (after
            a restart of the kernel, say) goes on from it.
        dataset: instead of loading `config.data`.
        adjust: show fields for epochs, minibatch, rate and variant; they count until the run
            begins.

    Display it as the last expression of a cell. `run` is the `training.Trainer`, once it is there.
    """

    def __init__(self, config: TrainConfig, dataset: datasets.Dataset | None = None,
                 adjust: bool = True):
        self.config, self.dataset, self.run = config, dataset, None
        self._thread, self._stop, self._error = None, threading.Event(), None
        self._drawn = 0.0
        wide = {"style": {"description_width": "initial"}}
        self.fields = {
            "epochs": ipywidgets.BoundedIntText(config.epochs or 20, min=1, max=10_000,
                                                description="epochs", **wide),
            "batch_size": ipywidgets.Dropdown(options=sorted({32, 64, 128, 256, 512,
                                                              config.batch_size}),
                                              value=config.batch_size, description="minibatch",
                                              **wide),
            "lr": ipywidgets.BoundedFloatText(config.lr or 0.01, min=1e-7, max=10, step=0.001,
                                              description="rate", **wide),
            "variant": ipywidgets.Dropdown(options=["paper", "2012"],
                                           value=config.variant or "2012", description="variant",
                                           **wide)} if adjust else {}
        self.start = ipywidgets.Button(description="Continue" if self._kept() else "Train",
                                       icon="play", button_style="primary")
        self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.start.on_click(lambda _: self.begin())
        self.stop.on_click(lambda _: self._stop.set())
        self.bar = ipywidgets.IntProgress(max=1, layout=ipywidgets.Layout(width="100%"))
        self.status = ipywidgets.Label("ready")
        self.picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
        super().__init__([ipywidgets.HBox([*self.fields.values()],
                                          layout=ipywidgets.Layout(flex_flow="row wrap")),
                          ipywidgets.HBox([self.start, self.stop]), self.bar, self.status,
                          self.picture])

    def _kept(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return bool(self.config.out) and (Path(self.config.out) / CHECKPOINT).exists()

    def begin(self) -> None:
        """Start the run, or go on where it was stopped; does nothing while it is under way."""
        if self._thread and self._thread.is_alive():
            return
        self._stop.clear()
        self._error = None
        self.start.disabled, self.stop.disabled = True, False
        for field in self.fields.values():
            field.disabled = True
        self._thread = threading.Thread(target=self._train, args=(torch.get_num_threads(),),
                                        daemon=True)
        self._thread.start()

    def wait(self) -> Trainer:
        """Start the run if nobody has, wait until it ends or is stopped, and return it.

        Interrupting the cell stops the run, as the button does. Raises the run's own error.
        """
        if not self._thread:
            self.begin()
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self._stop.set()
            self._thread.join()
        if self._error:
            raise self._error
        done = self.run.finished
        print(f"trained: {len(self.run.history)} epochs" if done else
              f"stopped at step {self.run.step} of {self.run.total_steps}: press Continue and run "
              "this cell again, or go on with the net as it is")
        return self.run

    def _train(self, threads: int) -> None:
        torch.set_num_threads(threads)  # a new thread does not inherit it
        try:
            if self.run is None:
                self._say("loading the data")
                chosen = {name: field.value for name, field in self.fields.items()}
                self.run = begin(dataclasses.replace(self.config, **chosen), self.dataset,
                                 resume=self._kept(), progress=False)
                self.bar.max = self.run.total_steps
            self._began, self._from = time.monotonic(), self.run.step
            go_on(self.run, progress=False, on_step=self._after_step)
            self._draw()
            self._say("done" if self.run.finished else "stopped")
        except Exception as error:
            self._error = error
            self.status.value = f"⚠ {error}" if isinstance(error, UserError) else repr(error)
        finally:
            over = self.run is not None and self.run.finished
            self.start.description = "Continue"
            self.start.disabled, self.stop.disabled = over, True

    def _after_step(self, run: Trainer) -> bool:
        if time.monotonic() - self._drawn > EVERY:
            run.collect()
            self._draw()
            self._say("training")
        return self._stop.is_set()

    def _draw(self) -> None:
        run, buffer = self.run, io.BytesIO()
        progress(run.losses, run.history, run.steps_per_epoch, run.config.epochs,
                 len(run.classes)).savefig(buffer, format="png", dpi=100)
        self.picture.value = buffer.getvalue()
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
                 f"rate {current_rate(run.optimizer):.2g}",
                 f"{pace * run.in_batch:.0f} images/s"]
        if what == "training":
            parts.append(f"{left:.0f} s left" if left < 120 else f"{left / 60:.0f} min left")
        self.status.value = " · ".join(parts)
