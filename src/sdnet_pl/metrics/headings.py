"""How tables head the scores. Imports nothing, so that a table without scores need not load torchmetrics."""

# name: how a table heads the column, and the factor that brings the value to the heading's scale; a constant matte's
# score shares the column of the score without its prefix
METRIC_LABELS: dict[str, tuple[str, float]] = {
    "mad_whole": ("MAD×1000 (whole image)", 1000.0),
    "mse_whole": ("MSE×1000 (whole image)", 1000.0),
    "sad_whole": ("SAD/1000 (whole image)", 1.0),
    "sad_unknown": ("SAD/1000 (unknown region)", 1.0),
    "mse_unknown": ("MSE×1000 (unknown region)", 1000.0),
    "iou_whole": ("IoU of alpha >= 0.5 (whole image)", 1.0),
    "gradient_whole": ("Grad/1000 (whole image)", 1.0),
    "gradient_unknown": ("Grad/1000 (unknown region)", 1.0),
    "connectivity_whole": ("Conn/1000 (whole image)", 1.0),
    "connectivity_unknown": ("Conn/1000 (unknown region)", 1.0),
}
