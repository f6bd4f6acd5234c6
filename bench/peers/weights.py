"""The file from which every framework starts: the weights of a size under the names of our state dict, and its batch."""

import json
import struct

import numpy as np

DTYPES = {"F32": np.float32, "I32": np.int32}


class Weights:
    """A safetensors file: an 8-byte length, a JSON header, then the tensors. Each is read when it is requested."""

    def __init__(self, path):
        self.file = open(path, "rb")
        (length,) = struct.unpack("<Q", self.file.read(8))
        self.header = json.loads(self.file.read(length))
        self.begin = 8 + length
        metadata = self.header.pop("__metadata__")
        self.config = json.loads(metadata["config"])

    def __getitem__(self, name):
        entry = self.header[name]
        begin, end = entry["data_offsets"]
        self.file.seek(self.begin + begin)
        values = np.frombuffer(bytearray(self.file.read(end - begin)), DTYPES[entry["dtype"]])
        return values.reshape(entry["shape"])

    def joined(self, names):
        """Several matrices below each other, or vectors one after the other."""
        return np.concatenate([self[name] for name in names])

    def parameters(self):
        """Names of the parameters, in the state dict's order."""
        return [name for name in self.header if not name.startswith("batch.")]
