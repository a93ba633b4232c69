#!/usr/bin/env python3
"""Writes TFRecords with TensorFlow, for readers that are not TensorFlow.

    write_records.py FOLDER [--height H] [--width W] [--channels 1|3] [--count N]

Each file holds N examples (default 20) that a trainer may meet:

    png-float.tfrecord    PNG images; float labels; the angle in degrees
    raw-int64.tfrecord    raw images; int64 labels; the angle in degrees
    png-sin-cos.tfrecord  PNG images; float labels; sine and cosine in place of the angle
    raw-masked.tfrecord   raw images; some labels missing: the angle of every third example, the
                          position of every third beginning with the second, no magnitude at all,
                          and `present` missing where a third example has its object, for a
                          missing one means that it is there

and truth.npz says what a reader should find: pixels [4 N, H, W, C] in the order above, present,
angle (degrees), magnitude, x, y [4 N], and known_angle, known_magnitude, known_position, false where
the label was not written.
"""

import argparse
import io
import math
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

FILES = ("png-float", "raw-int64", "png-sin-cos", "raw-masked")


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def float_feature(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def int64_feature(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "PNG")
    return stream.getvalue()


def draw(generator, shape):
    """One example: whole numbers, so that a float and an int64 hold the same label."""
    return {
        "pixels": generator.integers(0, 256, shape, np.uint8),
        "present": int(generator.integers(0, 2)),
        "angle": int(generator.integers(-179, 181)),
        "magnitude": int(generator.integers(1, 11)),
        "x": int(generator.integers(-5, shape[1])),
        "y": int(generator.integers(-5, shape[0])),
    }


def example_of(kind, i, row):
    """The tf.Example of file `kind`, and which labels it has."""
    number = int64_feature if kind == "raw-int64" else float_feature
    radians = math.radians(row["angle"])
    features = {
        "image": bytes_feature(png(row["pixels"]) if kind.startswith("png") else row["pixels"].tobytes()),
        "present": number(row["present"]),
        "angle": number(row["angle"]),
        "magnitude": number(row["magnitude"]),
        "position": number(row["x"], row["y"]),
    }
    if kind == "png-sin-cos":
        del features["angle"]
        features["sin_cos"] = float_feature(math.sin(radians), math.cos(radians))
    if kind == "raw-masked":
        del features["magnitude"]
        if i % 3 == 0:
            del features["angle"]
        if i % 3 == 1:
            del features["position"]
        if i % 3 == 2 and row["present"]:
            del features["present"]
    known = {
        "known_angle": "angle" in features or "sin_cos" in features,
        "known_magnitude": "magnitude" in features,
        "known_position": "position" in features,
    }
    return tf.train.Example(features=tf.train.Features(feature=features)), known


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--height", type=int, default=32)
    parser.add_argument("--width", type=int, default=40)
    parser.add_argument("--channels", type=int, default=1, choices=(1, 3))
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    generator = np.random.default_rng(5)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    truth = []
    for kind in FILES:
        with tf.io.TFRecordWriter(str(arguments.folder / f"{kind}.tfrecord")) as writer:
            for i in range(arguments.count):
                row = draw(generator, (arguments.height, arguments.width, arguments.channels))
                example, known = example_of(kind, i, row)
                writer.write(example.SerializeToString())
                truth.append({**row, **known})
    np.savez(arguments.folder / "truth.npz", **{key: np.array([row[key] for row in truth]) for key in truth[0]})


if __name__ == "__main__":
    main()
