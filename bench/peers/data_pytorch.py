#!/usr/bin/env python3
"""Records to shuffled batches with PyTorch's DataLoader: worker processes that read TFRecords of PNG
images, parse and decode them.

    data_pytorch.py FOLDER [--batch N] [--workers N] [--seconds S]

A worker makes a whole batch in one call and hands it over in shared memory, which is the fastest way
that the DataLoader offers. Checksums are not verified, to its advantage.
"""

import argparse
import io
import mmap
import os

import numpy as np
import torch
from PIL import Image

from records import parse_example, record_files, record_spans
from timing import images_per_s, report


class Records(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.files, self.spans = record_files(folder), []
        for f, file in enumerate(self.files):
            with open(file, "rb") as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
                self.spans.extend((f, begin, end) for begin, end in record_spans(data))
        self.descriptors = [os.open(file, os.O_RDONLY) for file in self.files]

    def __len__(self):
        return len(self.spans)

    def __getitems__(self, indices):
        """A whole batch: images [n, 64, 64], labels [n, 5]."""
        images = np.empty((len(indices), 64, 64), np.uint8)
        labels = np.empty((len(indices), 5), np.float32)
        for i, index in enumerate(indices):
            f, begin, end = self.spans[index]
            data = os.pread(self.descriptors[f], end - begin, begin)
            row = parse_example(data, 0, len(data))
            images[i] = np.asarray(Image.open(io.BytesIO(row["image"][0])))
            if row["present"][0]:
                labels[i] = 1, row["angle"][0], row["magnitude"][0], *row["position"]
            else:
                labels[i] = 0
        return torch.from_numpy(images), torch.from_numpy(labels)


def as_it_is(batch):
    return batch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Records(arguments.folder)
    endless = torch.utils.data.RandomSampler(data, replacement=True, num_samples=1 << 40)
    loader = torch.utils.data.DataLoader(data, arguments.batch, sampler=endless, num_workers=arguments.workers,
                                         collate_fn=as_it_is, prefetch_factor=4)
    batches = (len(images) for images, _ in loader)
    report(peer="PyTorch, DataLoader", version=torch.__version__, batch=arguments.batch, threads=arguments.workers,
           images_per_s=images_per_s(batches, arguments.seconds))


if __name__ == "__main__":
    main()
