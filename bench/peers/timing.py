"""Medians of repeated calls, and the one JSON line that each peer prints."""

import json
import statistics
import time


def median_ms(call, repeats, warm_up=3):
    """Of `repeats` calls after `warm_up` that do not count."""
    times = []
    for i in range(warm_up + repeats):
        begin = time.perf_counter()
        call()
        if i >= warm_up:
            times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def images_per_s(batches, seconds):
    """Images per second of an endless iterator over batches (number of images each), taken for
    `seconds` after a tenth of it as a warm-up."""
    end = time.perf_counter() + seconds / 10
    while time.perf_counter() < end:
        next(batches)
    images, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        images += next(batches)
    return images / (time.perf_counter() - begin)


def report(**figures):
    print(json.dumps(figures), flush=True)
