#!/usr/bin/env python3
"""Records to shuffled batches with tf.data: parse, decode_png, batch, everything at AUTOTUNE.

    data_tfdata.py FOLDER [--batch N] [--window N] [--seconds S] [--threads N]
"""

import argparse
import glob
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from timing import images_per_s, report

FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "present": tf.io.FixedLenFeature([1], tf.int64, [1]),
    "angle": tf.io.FixedLenFeature([1], tf.float32, [0.0]),
    "magnitude": tf.io.FixedLenFeature([1], tf.float32, [0.0]),
    "position": tf.io.FixedLenFeature([2], tf.float32, [0.0, 0.0]),
}


def decode(record):
    row = tf.io.parse_single_example(record, FEATURES)
    row["image"] = tf.ensure_shape(tf.io.decode_png(row["image"], channels=1), (64, 64, 1))
    return row


def pipeline(folder, batch, window):
    files = sorted(glob.glob(os.path.join(folder, "*.tfrecord")))
    data = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    data = data.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    data = data.shuffle(window).map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    return data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--window", type=int, default=10000, help="examples to shuffle among")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    data = pipeline(arguments.folder, arguments.batch, arguments.window)
    batches = (arguments.batch for _ in data)
    report(peer="tf.data", version=tf.__version__, batch=arguments.batch, threads=arguments.threads,
           images_per_s=images_per_s(batches, arguments.seconds))


if __name__ == "__main__":
    main()
