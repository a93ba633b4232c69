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


def step_times(run, wait, steps, warm_up):
    """Of steps that `run` enqueues: the median time of one that is waited for, of the host's part in
    it, and the time of one among `steps` that follow each other without a wait."""
    for _ in range(warm_up):
        run()
    wait()
    whole, enqueued = [], []
    for _ in range(steps):
        begin = time.perf_counter()
        run()
        enqueued.append(1e3 * (time.perf_counter() - begin))
        wait()
        whole.append(1e3 * (time.perf_counter() - begin))
    begin = time.perf_counter()
    for _ in range(steps):
        run()
    wait()
    pipelined_ms = 1e3 * (time.perf_counter() - begin) / steps
    return {"step_ms": statistics.median(whole), "enqueue_ms": statistics.median(enqueued),
            "pipelined_ms": pipelined_ms, "steps": steps}


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
