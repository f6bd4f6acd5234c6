"""Writes events.json: the scalars that TensorBoard reads from the files in events/, which test/train/tensorboard.test.ts writes.

    npx tsx --conditions=source test/golden/events.ts && python3 -m venv /tmp/tb && /tmp/tb/bin/pip install tensorboard
    /tmp/tb/bin/python test/golden/events.py

events/resumed has two files: a training to step 4, and one that was resumed after step 2. events/killed ends within a record.
"""

import json
import pathlib

import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

here = pathlib.Path(__file__).parent
read = {}
for folder in sorted((here / "events").iterdir()):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    assert accumulator.file_version == 2.0
    read[folder.name] = {
        tag: [[event.step, event.value, event.wall_time] for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }
(here / "events.json").write_text(json.dumps({"tensorboard": tensorboard.__version__, "read": read}, separators=(",", ":"), ensure_ascii=False) + "\n")
