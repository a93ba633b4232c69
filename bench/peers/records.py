"""TFRecord files of tf.Example messages, read without TensorFlow: the twin's own reader.

Framing and protobuf are walked by hand, so that what vane reads through protobuf-c is read here by
other code. Checksums are left to `vane data check`; pure Python takes a second per megabyte.
"""

import glob
import io
import math
import os
import struct

import numpy as np
from PIL import Image


def record_files(path):
    """The files of a folder, a pattern or a path, in the order of their names."""
    files = glob.glob(os.path.join(path, "*") if os.path.isdir(path) else path)
    if not files:
        raise FileNotFoundError(f"no record files at {path}")
    return sorted(files)


def record_spans(data):
    """(begin, end) of each record's data: length (8 bytes), its CRC (4), the data, their CRC (4)."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        yield at + 12, at + 12 + length
        at += 12 + length + 4


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data, at, end):
    """The fields of one protobuf message: (number, wire type, value), a length-delimited value as
    (begin, end) in `data`."""
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 2:
            length, at = varint(data, at)
            yield number, wire, (at, at + length)
            at += length
        elif wire == 0:
            value, at = varint(data, at)
            yield number, wire, value
        elif wire == 5:
            yield number, wire, struct.unpack_from("<f", data, at)[0]
            at += 4
        else:
            raise ValueError(f"wire type {wire} has no place in a tf.Example")


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def feature_values(data, begin, end):
    """tensorflow.Feature: bytes_list = 1, float_list = 2, int64_list = 3, each with `value` = 1,
    packed or not."""
    values = []
    for kind, _, (at, stop) in fields(data, begin, end):
        for _, wire, value in fields(data, at, stop):
            if wire != 2:
                values.append(signed(value) if kind == 3 else value)
            elif kind == 1:
                values.append(bytes(data[value[0] : value[1]]))
            elif kind == 2:
                values.extend(np.frombuffer(data, "<f4", (value[1] - value[0]) // 4, value[0]).tolist())
            else:
                position = value[0]
                while position < value[1]:
                    number, position = varint(data, position)
                    values.append(signed(number))
    return values


def parse_example(data, begin, end):
    """{feature name: list of values}; Example.features = 1, Features.feature = 1 (a map)."""
    features = {}
    for _, _, (at, stop) in fields(data, begin, end):
        for _, _, (entry, entry_end) in fields(data, at, stop):
            name, values = None, []
            for number, _, (low, high) in fields(data, entry, entry_end):
                if number == 1:
                    name = bytes(data[low:high]).decode()
                else:
                    values = feature_values(data, low, high)
            features[name] = values
    return features


def decode_image(image, height, width, channels):
    """[height, width, channels] bytes out of a PNG file or raw bytes."""
    if image[:4] == b"\x89PNG":
        picture = Image.open(io.BytesIO(image))
        expected = {1: "L", 3: "RGB"}[channels]
        if picture.mode != expected:
            raise ValueError(f"PNG of mode {picture.mode}; the twin converts no colours ({expected} expected)")
        pixels = np.asarray(picture, np.uint8)
    else:
        pixels = np.frombuffer(image, np.uint8)
    return pixels.reshape(height, width, channels)


class Examples:
    """All examples of a source in memory, in file order.

    pixels [n, H, W, C] uint8; present, angle (radians), magnitude [n] and position [n, 2] float32,
    as vane_labels holds them; known: per label [n] bool, false where it is missing.
    """

    def __init__(self, settings, path, count=0):
        self.shape = tuple(settings.wholes("model.input"))
        self.degrees = settings.word("data.angle_unit") == "deg"
        self.names = {
            label: settings.word(f"data.features.{label}")
            for label in ("image", "present", "angle", "sin_cos", "magnitude", "position")
        }
        pixels, rows, known = [], [], []
        for file in record_files(path):
            with open(file, "rb") as stream:
                data = stream.read()
            for begin, end in record_spans(data):
                if count and len(rows) == count:
                    break
                image, row, which = self.read(parse_example(data, begin, end))
                pixels.append(image)
                rows.append(row)
                known.append(which)
        self.pixels = np.stack(pixels)
        table = np.array(rows, np.float32)
        self.present, self.angle, self.magnitude = table[:, 0], table[:, 1], table[:, 2]
        self.position = table[:, 3:5]
        flags = np.array(known, bool)
        self.known = {label: flags[:, i] for i, label in enumerate(("angle", "magnitude", "position"))}

    def __len__(self):
        return len(self.pixels)

    def read(self, features):
        get = lambda label: features.get(self.names[label]) or []
        image = decode_image(get("image")[0], *self.shape)
        present, angle, magnitude, position = get("present"), get("angle"), get("magnitude"), get("position")
        sin_cos = get("sin_cos")
        if angle:
            radians = math.radians(math.remainder(angle[0], 360)) if self.degrees else angle[0]
        else:
            radians = math.atan2(sin_cos[0], sin_cos[1]) if sin_cos else 0.0
        row = (
            present[0] if present else 1.0,  # not mentioned: there
            radians,
            magnitude[0] if magnitude else 0.0,
            *(position or (0.0, 0.0)),
        )
        return image, row, (bool(angle or sin_cos), bool(magnitude), bool(position))
