#!/usr/bin/env python3
"""Other people's readers read what vane wrote, and vane what they wrote.

    interop.py [--vane PROGRAM] PATH...

A PATH is a TFRecord file, a folder of them (`vane data make`), or a run's folder (`vane train`). With
--vane the same program is given files that TensorBoard, the safetensors package and, where it is
installed, TensorFlow wrote. One line for each check; the exit status is 1 if one failed.

Needs the packages tensorboard and safetensors (with numpy and Pillow, which they bring or share).
"""

import argparse
import collections
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import safetensors
import safetensors.numpy
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.summary.writer.event_file_writer import EventFileWriter

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Checks:
    """Runs checks and prints how each ended."""

    def __init__(self):
        self.failed = 0

    def run(self, name, check, *arguments):
        try:
            print(f"ok       {name}: {check(*arguments)}", flush=True)
        except Exception as error:  # whatever a reader throws is what the check is for
            self.failed += 1
            print(f"FAILED   {name}: {type(error).__name__}: {error}", flush=True)

    def skip(self, name, why):
        print(f"SKIPPED  {name}: {why}", flush=True)


def example_class():
    """tf.Example out of its public field numbers, so that no TensorFlow is needed."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="interop", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name, **fields):
        entry = file.message_type.add(name=name)
        for field, (number, label, kind, type_name) in fields.items():
            entry.field.add(name=field, number=number, label=label, type=kind, type_name=type_name)
        return entry

    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    message("BytesList", value=(1, many, kinds.TYPE_BYTES, None))
    message("FloatList", value=(1, many, kinds.TYPE_FLOAT, None))
    message("Int64List", value=(1, many, kinds.TYPE_INT64, None))
    feature = message(
        "Feature",
        bytes_list=(1, one, kinds.TYPE_MESSAGE, ".interop.BytesList"),
        float_list=(2, one, kinds.TYPE_MESSAGE, ".interop.FloatList"),
        int64_list=(3, one, kinds.TYPE_MESSAGE, ".interop.Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", feature=(1, many, kinds.TYPE_MESSAGE, ".interop.Features.FeatureEntry"))
    pair = features.nested_type.add(name="FeatureEntry")
    pair.options.map_entry = True
    pair.field.add(name="key", number=1, label=one, type=kinds.TYPE_STRING)
    pair.field.add(name="value", number=2, label=one, type=kinds.TYPE_MESSAGE, type_name=".interop.Feature")
    message("Example", features=(1, one, kinds.TYPE_MESSAGE, ".interop.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("interop.Example"))


Example = example_class()


def records_of(path):
    """Every record's data, both CRCs checked by TensorBoard's reader."""
    reader = PyRecordReader_New(filename=str(path))
    while True:
        try:
            reader.GetNext()
        except OutOfRangeError:  # the end; a cut or damaged record is a DataLossError
            return
        yield reader.record()


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def png_feature(features):
    """The name of the feature that holds a PNG image, or None."""
    for name, feature in features.items():
        values = feature.bytes_list.value
        if values and values[0].startswith(PNG_SIGNATURE):
            return name
    return None


def check_records(path):
    kinds = collections.Counter()
    names = collections.Counter()
    n_records = 0
    for data in records_of(path):
        features = Example.FromString(data).features.feature
        if not features:
            raise ValueError(f"record {n_records} has no features")
        names.update(features.keys())
        png = png_feature(features)
        kinds[str(pixels_of(features[png].bytes_list.value[0]).shape) if png else "raw"] += 1
        n_records += 1
    if n_records == 0:
        raise ValueError("no records")
    images = ", ".join(f"{n} images {kind}" for kind, n in kinds.items())
    return f"{n_records} records by TensorBoard, protobuf and Pillow; {images}; features {' '.join(sorted(names))}"


def check_records_with_tensorflow(path):
    import tensorflow as tf

    ours = list(records_of(path))
    theirs = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    if ours != theirs:
        raise ValueError(f"TensorFlow reads {len(theirs)} records, TensorBoard {len(ours)}, or others")
    n_images = 0
    for data in theirs:
        features = tf.train.Example.FromString(data).features.feature
        name = png_feature(features)
        if name is None:
            continue
        schema = {name: tf.io.FixedLenFeature([], tf.string)}
        png = tf.io.parse_single_example(data, schema)[name]
        decoded = tf.io.decode_png(png).numpy()
        if not np.array_equal(decoded.squeeze(), pixels_of(png.numpy())):
            raise ValueError("TensorFlow and Pillow see different pixels")
        n_images += 1
    return f"{len(theirs)} records, {n_images} PNG images by TensorFlow {tf.__version__}"


def numbers_in(entry, prefix=""):
    """The numbers of one line of metrics.jsonl under the tags that TensorBoard shows."""
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from numbers_in(value, f"{prefix}{key}/")
        elif value is not None and prefix + key != "step":
            yield prefix + key, value


def check_events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    events = {
        (tag, scalar.step): scalar.value
        for tag in accumulator.Tags()["scalars"]
        for scalar in accumulator.Scalars(tag)
    }
    if not events:
        raise ValueError("no scalars")
    n = 0
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for tag, value in numbers_in(entry):
            seen = events.get((tag, entry["step"]))
            if seen is None or np.float32(seen) != np.float32(value):
                raise ValueError(f"{tag} at step {entry['step']}: {value} in metrics.jsonl, {seen} in the events")
            n += 1
    if n == 0:
        raise ValueError("metrics.jsonl is empty")
    return f"{len(events)} scalars by TensorBoard's EventAccumulator; {n} numbers equal metrics.jsonl"


def check_checkpoint(path):
    with safetensors.safe_open(str(path), framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    if not tensors or not metadata:
        raise ValueError(f"{len(tensors)} tensors, metadata {metadata}")
    for name, tensor in tensors.items():
        if not np.all(np.isfinite(tensor)):
            raise ValueError(f"{name} is not finite")
    numbers = sum(tensor.size for tensor in tensors.values())
    return f"{len(tensors)} tensors, {numbers} numbers, metadata {' '.join(sorted(metadata))}"


def ask(program, *arguments):
    """Runs vane; its standard output, or an error with its words."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise ValueError(f"vane {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def check_vane_reads_safetensors(program, folder):
    path = folder / "package.safetensors"
    tensors = {"some.weight": np.ones((3, 5), np.float32), "some.count": np.array([7], np.int64)}
    safetensors.numpy.save_file(tensors, path, {"from": "the safetensors package"})
    shown = ask(program, "inspect", path)
    missing = [name for name in tensors if name not in shown]
    if missing:
        raise ValueError(f"vane inspect does not show {missing}")
    return f"vane inspect lists {len(tensors)} tensors of the safetensors package {safetensors.__version__}"


def check_vane_reads_events(program, folder):
    writer = EventFileWriter(str(folder / "events"))
    value = summary_pb2.Summary.Value(tag="written/elsewhere", simple_value=0.25)
    writer.add_event(event_pb2.Event(wall_time=1.5, step=3, summary=summary_pb2.Summary(value=[value])))
    writer.close()
    shown = ask(program, "inspect", next((folder / "events").iterdir()))
    if value.tag not in shown:
        raise ValueError(f"vane inspect does not show {value.tag}")
    return "vane inspect lists the scalar of TensorBoard's EventFileWriter"


def check_vane_reads_tensorflow(program, folder):
    writer = pathlib.Path(__file__).with_name("write_records.py")
    subprocess.run([sys.executable, writer, folder / "tensorflow"], check=True, capture_output=True)
    files = sorted((folder / "tensorflow").glob("*.tfrecord"))
    ask(program, "data", "check", *files)
    for path in files:
        if "position" not in ask(program, "inspect", path):
            raise ValueError(f"vane inspect {path.name} does not show the feature position")
    return f"vane data check and inspect accept {len(files)} files: PNG and raw, float and int64 labels"


def check_path(checks, path, has_tensorflow):
    if (path / "metrics.jsonl").exists():
        checks.run(f"events {path}", check_events, path)
        for checkpoint in sorted((path / "checkpoints").glob("*.safetensors")):
            checks.run(f"checkpoint {checkpoint}", check_checkpoint, checkpoint)
        return
    files = sorted(path.glob("*.tfrecord")) if path.is_dir() else [path]
    if not files:
        checks.run(f"records {path}", check_records, path)
    for file in files:
        checks.run(f"records {file}", check_records, file)
        if has_tensorflow:
            checks.run(f"records {file}", check_records_with_tensorflow, file)


def check_program(checks, program, has_tensorflow):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        checks.run("safetensors to vane", check_vane_reads_safetensors, program, folder)
        checks.run("events to vane", check_vane_reads_events, program, folder)
        if has_tensorflow:
            checks.run("TensorFlow's records to vane", check_vane_reads_tensorflow, program, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vane", help="the program, to read what others wrote")
    parser.add_argument("paths", nargs="+", type=pathlib.Path, metavar="PATH")
    arguments = parser.parse_args()
    checks = Checks()
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    if not has_tensorflow:
        checks.skip("TensorFlow", "it is not installed; its own reading and writing is not checked")
    for path in arguments.paths:
        check_path(checks, path, has_tensorflow)
    if arguments.vane:
        check_program(checks, arguments.vane, has_tensorflow)
    else:
        checks.skip("vane as the reader", "no --vane PROGRAM")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
