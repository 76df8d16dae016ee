from models import MODELS


class Handler:
    def __init__(self, config):
        self.model = MODELS[config["model"]]()

    def predict(self, payload: list[dict[str, list[float]]]):
        return [{"answer": answer} for answer in self.model.run([each["row"] for each in payload])]
