"""SIGTERM and SIGUSR1 end a fit after the batch that it is in, with its state in ``last.ckpt``."""

import os
import signal
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.trainer.states import TrainerFn

from sdnet_pl.data.parallel import STOP_SIGNALS


class StopSignals(_SignalConnector):
    """Notes a signal in a fit, for :class:`StopAfterBatch`; a second one, or one outside of a fit, ends the process.

    Lightning's own has the processes of a DDP run speak to each other from within the handler, wherever each of them
    is, so they wait for each other for ever; and its handler of SLURM's signal saves in the middle of a step.

    Attributes:
        requested: The signal that came; none so far.
    """

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        self.requested: int | None = None

    def register_signal_handlers(self) -> None:
        """Listen from the first fit or test on, until :meth:`restore`."""
        if not self._original_handlers:
            self._original_handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
            for number in STOP_SIGNALS:
                self._register_signal(number, self._note)

    def teardown(self) -> None:
        """Keep listening: a test comes after the fit."""

    def restore(self) -> None:
        """Put the earlier handlers back."""
        super().teardown()

    def agree(self) -> bool:
        """Whether one of the processes was told to stop; every process must call it."""
        asked = self.requested is not None
        self.received_sigterm = self.trainer.strategy.reduce_boolean_decision(asked, all=False)
        return self.received_sigterm

    def _note(self, number: int, frame: FrameType | None) -> None:
        fitting = self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking
        if fitting and self.requested is None:
            self.requested = number
            return
        launcher = self.trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):  # its processes may wait for this one
            launcher.kill(getattr(signal, "SIGKILL", number))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class StopAfterBatch(Callback):
    """Ends a fit after a whole step if one of its processes was told to stop, all of them after the same one.

    What comes with a step is finished first: a validation, and the end of an epoch. Lightning then raises
    ``SIGTERMException``, upon which :class:`sdnet_pl.lit.checkpoints.LastCheckpoint` saves.

    Args:
        signals: Those of the trainer.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals
        self.postponed = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End, but not between batches whose gradients add up: no checkpoint holds these."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.signals.agree()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the validation after a step run: a resumed fit would not repeat one that was broken off."""
        self.postponed, self.signals.received_sigterm = self.signals.received_sigterm, False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End, if that was due before the validation."""
        self.signals.received_sigterm = self.postponed

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End."""
        self.signals.agree()
