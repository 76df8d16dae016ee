"""Estimates the progression of diabetes within a year, with LightGBM."""

from dataclasses import astuple, dataclass

import lightgbm
import numpy as np


@dataclass
class Patient:
    """The columns of the model, in its order."""

    age: float
    sex: float
    """1 or 2, as in the data."""
    body_mass_index: float
    blood_pressure: float
    cholesterol: float
    ldl: float
    hdl: float
    cholesterol_by_hdl: float
    log_triglycerides: float
    glucose: float


class Handler:
    def __init__(self, config):
        self.model = lightgbm.Booster(model_file=config["model"])
        self.threads = config["threads"]

    def predict(self, payload: Patient):
        (progression,) = self.model.predict(np.asarray([astuple(payload)]), num_threads=self.threads)
        return {"progression": round(progression, 1)}
