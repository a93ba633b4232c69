"""The figures of `vane eval --json`, computed again."""

import numpy as np


def auroc(score, truth):
    """Probability that a present object scores above an absent one; ties count half."""
    order = np.argsort(score, kind="stable")
    _, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = np.empty(len(score))
    rank[order] = (last - (counts - 1) / 2)[inverse]
    n_present = int(truth.sum())
    n_absent = len(truth) - n_present
    if n_present == 0 or n_absent == 0:
        return None
    return float((rank[truth].sum() - n_present * (n_present + 1) / 2) / (n_present * n_absent))


def calibration_error(probability, truth, bins=15):
    """ECE: |mean probability - share present| per bin of equal width, weighted by its samples."""
    which = np.minimum((probability * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            total += inside.sum() * abs(probability[inside].mean() - truth[inside].mean())
    return float(total / len(probability))


def angle_figures(error_deg):
    """From absolute errors in degrees."""
    return {
        "mae_deg": float(error_deg.mean()),
        "median_deg": float(np.median(error_deg)),
        "rmse_deg": float(np.sqrt((error_deg**2).mean())),
        "acc5": float((error_deg < 5).mean()),
        "acc10": float((error_deg < 10).mean()),
        "acc30": float((error_deg < 30).mean()),
        "flip": float((error_deg > 150).mean()),
    }
