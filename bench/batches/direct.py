"""Answers per second of a loop without a server: ``direct.py MODEL SIZE SECONDS`` prints them."""

import json
import sys
import time

import orjson
from models import MODELS, row

name, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
model = MODELS[name]()
body = json.dumps({"row": row(name)}).encode()


def batch():
    rows = [orjson.loads(body)["row"] for _ in range(size)]
    return [orjson.dumps({"answer": answer}) for answer in model.run(rows)]


for _ in range(20):
    batch()
began, count = time.perf_counter(), 0
while time.perf_counter() < began + seconds:
    batch()
    count += size
print(count / (time.perf_counter() - began))
