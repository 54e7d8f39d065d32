"""The LightningCLI behind fit, validate, test and predict."""

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace, set_parsing_settings
from jsonargparse import Path as FilePath
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn
from omegaconf.errors import OmegaConfBaseException

from sdnet_pl.data.config_suggestions import suggest
from sdnet_pl.data.datamodule import MattingDataModule
from sdnet_pl.data.files import name_full_disk, read_text
from sdnet_pl.errors import InputError
from sdnet_pl.inference.weights import ARCHITECTURE, architecture, read_checkpoint, read_weights
from sdnet_pl.lit.callbacks import (
    ErrorsOfImages,
    Panels,
    RunReport,
    SaveRunConfig,
    Throughput,
    test_rows,
)
from sdnet_pl.lit.checkpoints import BestCheckpoint, LastCheckpoint, WholeFiles
from sdnet_pl.lit.divergence import Divergence
from sdnet_pl.lit.model_card import save_model_card
from sdnet_pl.lit.module import HEADLINE, SDNetModule
from sdnet_pl.lit.predictions import PredictionWriter
from sdnet_pl.lit.stopping import StopAfterBatch, StopSignals
from sdnet_pl.metrics.headings import HIGHER_IS_BETTER, METRIC_LABELS
from sdnet_pl.reporting.saved_config import dump, with_references

RUN_DIR_VARIABLE = "SDNET_RUN_DIR"
WANDB_DATA_VARIABLE = "WANDB_DATA_DIR"


class Parser(LightningArgumentParser):
    """Says what is wrong in a sentence, instead of jsonargparse's whole usage; keeps the references of a config.

    Attributes:
        written: Of the command line's parser: the config before its references were resolved.
    """

    written: dict[str, Any] | None = None

    def dump(self, cfg: Namespace, **options: Any) -> str:
        """A config as yaml, with its references where the command line's parser still knows them."""
        text: str = super().dump(cfg, **options)
        if options.get("skip_link_targets") is False:  # jsonargparse itself, which resolves this text next
            self.written = self.written or yaml.safe_load(text)
        elif written := getattr(getattr(self, "parent_parser", None), "written", None):
            with suppress(OmegaConfBaseException):  # of a part of a config, without what it refers to
                return dump(with_references(yaml.safe_load(text), written[self.subcommand]))  # type: ignore[attr-defined]
        return text

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, and what may be meant.

        Raises:
            InputError: always.
        """
        text = " ".join(message.split())
        # The parser of a class, which parses its own arguments, knows none of the command's options.
        is_command = "--run_dir" in self._option_string_actions
        meant = suggest(text, self, sys.argv[1:] if is_command else ()).rstrip("?")
        raise InputError(f"{text}{meant}{'?' if meant else ';'} `sdnet-pl COMMAND --help` lists the options.") from ex

    def parse_args(self, *args: Any, **options: Any) -> Namespace:  # type: ignore[override]
        """As jsonargparse does; an unresolved reference becomes a one-line error."""
        try:
            return super().parse_args(*args, **options)
        except OmegaConfBaseException as error:
            self.error(f"An interpolation in the config fails: {error}", error)

    def parse_path(self, path: str | os.PathLike[str], *args: Any, **options: Any) -> Namespace:
        """In UTF-8, or in UTF-16 as a shell of Windows redirects it; jsonargparse takes the system's encoding."""
        if "://" in str(path):
            return super().parse_path(path, *args, **options)
        text = read_text(os.fspath(path))
        with FilePath(path, mode="fr").relative_path_context():  # of files that this one names
            return self.parse_string(text, os.path.basename(path), *args, **options)


class SDNetCLI(LightningCLI):
    """LightningCLI with one directory a run, a CSV log in every run, and checkpoints that know their network.

    Attributes:
        status: The exit status of a fit that a signal has stopped, as shells know it; 0 otherwise.
    """

    status = 0

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The command that was given alone: describing the options of all of them takes a second."""
        commands = LightningCLI.subcommands()
        return {name: commands[name] for name in commands if name in sys.argv[1:2]} or commands

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Declare ``--run_dir``, the checkpoint of the best validation, and when a diverging training stops."""
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="Directory of everything this run writes. Default: runs/NAME/TIME, NAME being the first config's.",
        )
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(Divergence, "divergence")
        parser.set_defaults(
            {
                "checkpoint.monitor": HEADLINE,
                "checkpoint.filename": "best",
                # A resumed run keeps its own best.ckpt.
                "checkpoint.enable_version_counter": False,
            }
        )

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "predict":
            parser.add_lightning_class_args(PredictionWriter, "predictions")
        return parser

    def _parse_ckpt_path(self) -> None:
        # Lightning's own version lets a checkpoint's hyperparameters override the command line, on resume too.
        # Here the network must agree; a command that only evaluates takes it from the checkpoint if none is named.
        config, fit = self._command(), self.config.subcommand == "fit"
        path = config.get("ckpt_path")
        if path:
            checkpoint = read_checkpoint(path)
            if fit and not checkpoint.get("optimizer_states"):
                raise InputError(
                    f"{path} holds weights alone, and a fit cannot resume from it; start with --model.weights {path}."
                )
            held = architecture(checkpoint)
        elif fit:
            return
        elif config.model.weights:
            path = config.model.weights
            trained = read_weights(path)
            held = {key: getattr(trained, key) for key in ARCHITECTURE}
        else:
            raise InputError(
                f"{self.config.subcommand} needs a trained network; name one: --ckpt_path RUN/best.ckpt, or "
                "--model.weights sdnet-fast for one that ships."
            )
        named = held.keys() if fit else held.keys() & self._keys_given("model")
        for key, value in held.items():
            asked = config.model[key] or value.__class__()
            if key in named and asked != value:
                raise InputError(
                    f"{path} holds a network with {key} {value!r}, and {key} {asked!r} was asked for; pass "
                    f"--model.{key}={value} or another checkpoint."
                )
            if asked != value:
                config.model[key] = value

    def before_instantiate_classes(self) -> None:
        """Settle the run's directory, its seed and its loggers, which depend on each other.

        Raises:
            InputError: the directory holds another run, or the worst checkpoint would be kept as the best.
        """
        config = self._command()
        if self.config.subcommand == "fit":
            self._settle_modes(config)
        # Run again from its saved config, a run must not write into this one's directory.
        given = config.clone()
        given.run_dir = given.trainer.default_root_dir = None
        self.save_config_kwargs |= {"given": given, "files": _config_files()}
        _warn_of_an_idle_root(config.data)
        if config.data.seed is None:  # one seed for everything; where nothing is seeded, samples still are
            config.data.seed = int(config.seed_everything)
        inherited = os.environ.get(RUN_DIR_VARIABLE)
        run_dir = Path(inherited or config.run_dir or config.trainer.default_root_dir or self._new_run_dir(config))
        if not inherited and self.config.subcommand != "predict":
            fit = self.config.subcommand == "fit"
            for folder in {run_dir, Path((fit and config.checkpoint.dirpath) or run_dir)}:
                _refuse_used(folder, resumed=bool(fit and config.ckpt_path))
        if self.config.subcommand == "test":
            config.verbose = False  # RunReport prints the table, with its hash and its regions
        if self.config.subcommand == "predict":
            config.return_predictions = False  # they are written one by one; Lightning would keep all in memory
        os.environ[RUN_DIR_VARIABLE] = str(run_dir)  # for the processes that a DDP run starts
        # What an offline run uploads later: in its own directory rather than in the user's home.
        os.environ.setdefault(WANDB_DATA_VARIABLE, str((run_dir / "wandb").absolute()))
        config.run_dir = config.trainer.default_root_dir = str(run_dir)
        config.checkpoint.dirpath = config.checkpoint.dirpath or str(run_dir)
        if config.trainer.logger is False:
            return
        loggers = config.trainer.logger
        loggers = loggers if isinstance(loggers, list) else [loggers] if isinstance(loggers, Namespace) else []
        for logger in loggers:
            if logger.init_args.get("save_dir") in (None, "."):
                logger.init_args.save_dir = str(run_dir)
            if logger.class_path.endswith("WandbLogger"):
                _name_wandb_run(
                    logger.init_args, run_dir, bool(config.get("ckpt_path")) and self.config.subcommand == "fit"
                )
        csv = {"save_dir": str(run_dir), "name": "logs", "version": None, "prefix": "", "flush_logs_every_n_steps": 50}
        csv_logger = Namespace(class_path="sdnet_pl.lit.loggers.RunLog", init_args=Namespace(csv))
        config.trainer.logger = [csv_logger, *loggers]

    def instantiate_classes(self) -> None:
        """As Lightning does; a value that a class rejects becomes a one-line error."""
        try:
            super().instantiate_classes()
        except (ImportError, ValueError) as error:
            raise InputError(f"These settings are refused: {' '.join(str(error).split())}") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Lightning's, which also keeps the last checkpoint, and writes checkpoints whole or not at all."""
        trainer = super().instantiate_trainer(**kwargs)
        if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
            raise InputError(
                "trainer.strategy starts processes that end with the training and take its scores along; take "
                "--trainer.strategy ddp."
            )
        trainer._signal_connector = self.signals = StopSignals(trainer)
        if self.config.subcommand == "fit":
            last = LastCheckpoint(self._command().checkpoint.dirpath)
            trainer.callbacks += [StopAfterBatch(self.signals), last]  # type: ignore[attr-defined]
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeFiles()
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except SIGTERMException:
            if self.trainer.is_global_zero:  # the others end well: Lightning kills them all when one does not
                number = signal.Signals(self.signals.requested or signal.SIGTERM)
                last = Path(self._command().checkpoint.dirpath) / "last.ckpt"
                print(f"sdnet-pl: stopped by {number.name}; --ckpt_path {quote(str(last))} resumes", file=sys.stderr)
                self.status = 128 + number
        except RuntimeError as error:
            if lost := self.datamodule.lost_sample(error):
                raise InputError(
                    f"A loader process died while it made {lost} ({error}); if the memory was used up, lower "
                    "data.workers or set data.cache to false."
                ) from error
            raise
        finally:
            self.signals.restore()

    def after_fit(self) -> None:
        """Scores the best checkpoint on the test benchmarks."""
        if self.signals.agree():
            raise SIGTERMException
        if self._command().trainer.fast_dev_run or self.trainer.interrupted:
            return
        # A config may have further callbacks that save; this is the one that keeps the best.
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        best = next(callback.best_model_path for callback in callbacks if isinstance(callback, BestCheckpoint))
        if best:
            # Not by ckpt_path="best": Lightning's weight averaging would then load the weights that are not averaged.
            self.model.load_state_dict(read_checkpoint(best)["state_dict"])
        else:
            rank_zero_warn(
                "No validation ran, so there is no best.ckpt, and the last weights are scored; lower "
                "trainer.check_val_every_n_epoch, or train for more epochs."
                if self._command().checkpoint.save_top_k
                else "checkpoint.save_top_k is 0, so there is no best.ckpt, and the last weights are scored."
            )
        self.datamodule.check = False  # done when the fit started; a picture lost since then must not cost the scores
        self.trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        if best and self.trainer.is_global_zero:
            save_model_card(self.trainer, self.model, Path(best), test_rows(self.model))

    def _command(self) -> Namespace:
        return self.config[self.config.subcommand]

    def _new_run_dir(self, config: Namespace) -> Path:
        for launcher, variable in (("torchrun", "TORCHELASTIC_RUN_ID"), ("srun", "SLURM_STEP_ID")):
            if variable in os.environ:
                raise InputError(
                    f"Under {launcher} every process would name a directory of its own; name one: --run_dir RUN."
                )
        files = _config_files()
        name = Path(files[0]).stem if files else config.model.preset
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = base = (
            Path("runs") / name / (stamp if self.config.subcommand == "fit" else f"{stamp}-{self.config.subcommand}")
        )
        number = 1
        while path.exists():
            number += 1
            path = base.with_name(f"{base.name}-{number}")
        return path

    def _settle_modes(self, config: Namespace) -> None:
        """Take the mode of the score that is monitored, where it is known, and refuse the other one."""
        callbacks = config.trainer.callbacks
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        parts = [callback.get("init_args", Namespace()) for callback in callbacks if isinstance(callback, Namespace)]
        for part in (config.checkpoint, *parts):
            mode = _mode_of(part.get("monitor"))
            if mode is None or part.get("mode", mode) == mode:
                continue
            if part is config.checkpoint and "mode" not in self._keys_given("checkpoint"):
                part.mode = mode
                continue
            option = "--checkpoint.mode" if part is config.checkpoint else "The mode of a callback"
            raise InputError(
                f"{option} is {part.mode}, and of {part.monitor} the {mode}imum is the best; set it to {mode}."
            )

    def _keys_given(self, group: str) -> set[str]:
        given = self.parser.parse_args(sys.argv[1:], defaults=False)
        return set(given[given.subcommand].get(group, Namespace()).keys())


def _mode_of(monitor: str | None) -> str | None:
    """Whether the min or the max of a score is the best; none where that is not known."""
    score = (monitor or "").rpartition("/")[2]
    if monitor != HEADLINE and score not in METRIC_LABELS:
        return None
    return "max" if score in HIGHER_IS_BETTER else "min"


def _warn_of_an_idle_root(data: Namespace) -> None:
    """Say that ``--data.root`` changes nothing, as with the configs that older versions saved.

    It would be taken for where the pictures are from.
    """
    if not any(argument.partition("=")[0] == "--data.root" for argument in sys.argv):
        return
    found: list[str] = []

    def collect(value: Any, key: str = "") -> None:
        if isinstance(value, Namespace | dict):
            for name, part in value.items():
                collect(part, name)
        elif isinstance(value, list):
            for part in value:
                collect(part)
        elif isinstance(value, str) and key.rpartition(".")[2] == "path":
            found.append(value)

    collect(data)
    if found and not any(path.startswith(str(data.root)) for path in found):
        rank_zero_warn(
            f"--data.root {data.root} reaches nothing: the config names its folders in full, such as {found[0]}; write "
            "${data.root} there instead of the folder that has moved."
        )


def _config_files() -> list[str]:
    """Those of the command line: resolving interpolations drops their names from the parsed config."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("-c", "--config", action="append", default=[])
    files: list[str] = given.parse_known_args(sys.argv[1:])[0].config
    return files


@rank_zero_only
def _refuse_used(run_dir: Path, resumed: bool) -> None:
    """Refuse a directory that holds something: its tables would be replaced. A resumed run continues in its own."""
    if not run_dir.is_dir() or not any(run_dir.iterdir()):
        return
    if not resumed and any(run_dir.glob("*.ckpt")):
        raise InputError(
            f"{run_dir} holds another run already; name an empty --run_dir, or resume that run with "
            f"fit --ckpt_path {run_dir / 'last.ckpt'}."
        )
    if not (resumed and (any(run_dir.glob("config*.yaml")) or any(run_dir.glob("*.ckpt")))):
        raise InputError(f"{run_dir} holds other files already; name an empty --run_dir.")


def _name_wandb_run(arguments: Namespace, run_dir: Path, resumed: bool) -> None:
    """Calls the run of W&B what its directory is called, and lets a resumed fit that streams continue its own.

    Offline it cannot continue: uploading a second run of one id replaces the first.
    """
    if arguments.name is None:
        arguments.name = "/".join(run_dir.absolute().parts[-2:])
    streams = not arguments.offline and os.environ.get("WANDB_MODE", "online") == "online"
    before = sorted((run_dir / "wandb").glob("run-*-*"))  # run-TIME-ID
    if resumed and streams and before and arguments.version is None and arguments.id is None:
        arguments.id = before[-1].name.split("-", 2)[2]


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    """Keep out what Lightning says of products and devices that nobody asked for."""
    return not record.getMessage().startswith(("💡 Tip", "TPU available"))


def make(
    arguments: Sequence[str], module: type[SDNetModule] = SDNetModule, kind: type[SDNetCLI] = SDNetCLI
) -> SDNetCLI:
    """Makes network, data and trainer from the command line of ``fit``, ``validate``, ``test`` or ``predict``.

    Args:
        arguments: The command and its options.
        module: What is trained: a subclass may hold another network.
        kind: Its ``_run_subcommand`` runs the command.

    Raises:
        InputError: For input that the user can correct.
    """
    for expected in (
        "Checkpoint directory .* exists and is not empty",  # the run's config is there first
        r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own affair
        "You're resuming from a checkpoint that ended before the epoch ended",  # the sampler continues where it ended
        "The dirpath has changed",  # every command writes into a directory of its own
        "Be aware that when using `ckpt_path`, callbacks",  # evaluation needs none of those that trained
        "You're using the WeightAveraging callback, but loading",  # evaluation loads the averaged weights, as it should
        "Couldn't infer the batch indices",  # photos are predicted one by one, without batches
        "Total length of `DataLoader` across ranks is zero",  # all is predicted already, which the writer says
    ):
        warnings.filterwarnings("ignore", message=expected)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)  # ${data.root} is fit.data.root to the parser
    before, argv = {name: os.environ.get(name) for name in (RUN_DIR_VARIABLE, WANDB_DATA_VARIABLE)}, sys.argv
    sys.argv = [argv[0], *arguments]  # what a DDP run starts its other processes with
    try:
        return kind(
            module,
            MattingDataModule,
            save_config_callback=SaveRunConfig,
            seed_everything_default=0,
            # 120 epochs: the paper's schedule (section 4.3).
            trainer_defaults={
                "max_epochs": 120,
                "callbacks": [Panels(), ErrorsOfImages(), Throughput(), RunReport()],
            },
            # Interpolations resolve after the command line, so an override reaches whatever refers to it.
            parser_kwargs={"parser_mode": "omegaconf+"},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_class=Parser,
        )
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes exit status 1 of Ctrl-C
            raise KeyboardInterrupt from error
        raise
    except MisconfigurationException as error:
        raise InputError(f"Lightning refuses these settings: {' '.join(str(error).split())}") from error
    except OSError as error:
        name_full_disk(error, [os.environ.get(RUN_DIR_VARIABLE, "."), tempfile.gettempdir(), Path.home()])
        raise
    finally:
        sys.argv = argv
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def run(arguments: Sequence[str], module: type[SDNetModule] = SDNetModule) -> int:
    """Runs ``fit``, ``validate``, ``test`` or ``predict`` with its arguments.

    Args:
        arguments: The command and its options.
        module: What is trained: a subclass may hold another network.

    Returns:
        The exit status: 0, 1 where ``predict`` could not read some of the files, 143 where SIGTERM has stopped a
        ``fit``, and 138 where SIGUSR1 has.

    Raises:
        InputError: For input that the user can correct.
    """
    cli = make(arguments, module)
    if cli.trainer.is_global_zero:
        for logger in cli.trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()
        if "wandb" in sys.modules:
            # Finishing an offline run does not wait for its file; stopping the process that writes it does.
            sys.modules["wandb"].teardown()
        print(f"Everything this run wrote is in {cli.trainer.default_root_dir}", file=sys.stderr)
    writers = [callback for callback in cli.trainer.callbacks if isinstance(callback, PredictionWriter)]  # type: ignore[attr-defined]
    return cli.status or int(any(writer.unreadable for writer in writers))
