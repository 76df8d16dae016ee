"""mosec with the same model: ``mosec_server.py --port PORT``, with MODEL and SIZE in the environment."""

import os

import mosec
from models import MODELS


class Worker(mosec.Worker):
    def __init__(self):
        self.model = MODELS[os.environ["MODEL"]]()

    def forward(self, data):
        return [{"answer": answer} for answer in self.model.run([each["row"] for each in data])]


if __name__ == "__main__":
    server = mosec.Server()
    server.append_worker(Worker, num=1, max_batch_size=int(os.environ["SIZE"]), max_wait_time=5)
    server.run()
