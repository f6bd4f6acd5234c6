"""Writes numpy.npz and stored.npz, the archives of readers.test.ts, or says whether they are what NumPy writes now.

    python3 test/data/files/npz.py           # with NumPy 2
    python3 test/data/files/npz.py --check
"""

import argparse
import io
from pathlib import Path

import numpy as np

ARCHIVES = {
    # one array of each way in which a number is stored: 8 bytes, 64-bit integers, booleans, and the other order of bytes
    "numpy.npz": (
        np.savez_compressed,
        {
            "x": np.arange(6.0).reshape(2, 3),
            "y": np.array([3, -1], dtype="<i8"),
            "m": np.array([True, False]),
            "b": np.array([1.5, 2], dtype=">f4"),
        },
    ),
    "stored.npz": (np.savez, {"x": np.array([7], dtype="<u2")}),
}

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--check", action="store_true", help="compare with the files that are here, and write nothing")
check = arguments.parse_args().check
for name, (save, arrays) in ARCHIVES.items():
    written = io.BytesIO()
    save(written, **arrays)
    path = Path(__file__).parent / name
    if not check:
        path.write_bytes(written.getvalue())
        continue
    # a compressor may give other bytes for the same arrays
    with np.load(path) as kept:
        assert set(kept.files) == set(arrays), f"{name} has {kept.files}"
        for key, array in arrays.items():
            assert kept[key].dtype == array.dtype and np.array_equal(kept[key], array), f"{name}: {key} differs"
    print(f"{name}: equal", "to the byte" if path.read_bytes() == written.getvalue() else "arrays")
