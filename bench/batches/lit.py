"""LitServe with the same model: ``lit.py MODEL SIZE PORT``."""

import sys

import litserve
from models import MODELS

name, size, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = MODELS[name]()

    def decode_request(self, request):
        return request["row"]

    def batch(self, inputs):
        return inputs

    def predict(self, x):
        return self.model.run(x)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"answer": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=size, batch_timeout=0.005), accelerator="cpu", timeout=60)
    server.run(port=port, num_api_servers=1, generate_client_file=False, log_level="warning")
