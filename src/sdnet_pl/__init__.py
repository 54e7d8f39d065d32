"""SDNet: portrait matting with 2.03 M parameters, trained by self-distillation."""

__version__ = "0.1.0"
