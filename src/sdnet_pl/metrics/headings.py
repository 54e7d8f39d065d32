"""How markdown and pictures head the scores. Imports nothing: a table without scores need not load torchmetrics."""

# key: how a table for people heads the column, and the factor that brings the value to the heading's scale. Files for
# programs hold keys and values in the units of the functionals; those of earlier runs hold headings and scaled values
# (``sdnet_pl.reporting.tables.scores_of``).
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
# All others are errors.
HIGHER_IS_BETTER = ("iou_whole",)
