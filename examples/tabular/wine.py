"""Names the cultivar of a wine by its chemical analysis, with XGBoost."""

from dataclasses import astuple, dataclass

import numpy as np
import xgboost


@dataclass
class Wine:
    """The columns of the model, in its order."""

    alcohol: float
    malic_acid: float
    ash: float
    alcalinity_of_ash: float
    magnesium: float
    total_phenols: float
    flavanoids: float
    nonflavanoid_phenols: float
    proanthocyanins: float
    color_intensity: float
    hue: float
    od280_od315: float
    proline: float


class Handler:
    def __init__(self, config):
        self.model = xgboost.Booster({"nthread": config["threads"]}, model_file=config["model"])

    def predict(self, payload: Wine):
        row = np.asarray([astuple(payload)], np.float32)
        probabilities = self.model.inplace_predict(row)[0]
        return {"cultivar": probabilities.argmax(), "probabilities": probabilities.round(4)}
