"""Makes wine.ubj, diabetes.txt, and samples of rows that the models have not seen. A second.

pip install -r requirements.txt scikit-learn && python train.py
"""

import json
from dataclasses import asdict
from pathlib import Path

import lightgbm
import xgboost
from diabetes import Patient
from sklearn.datasets import load_diabetes, load_wine
from sklearn.model_selection import train_test_split
from wine import Wine

FOLDER = Path(__file__).parent


def write_sample(name, sample):
    (FOLDER / f"{name}.sample.json").write_text(json.dumps(asdict(sample), indent=2) + "\n")


def train_wine():
    rows, cultivars = load_wine(return_X_y=True)
    seen, unseen, seen_cultivars, unseen_cultivars = train_test_split(rows, cultivars, random_state=0)
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=3, random_state=0)
    model.fit(seen, seen_cultivars)
    print(f"wine: accuracy on unseen rows: {model.score(unseen, unseen_cultivars):.3f}")
    model.get_booster().save_model(FOLDER / "wine.ubj")
    write_sample("wine", Wine(*unseen[list(unseen_cultivars).index(1)].tolist()))


def train_diabetes():
    rows, progressions = load_diabetes(return_X_y=True, scaled=False)
    seen, unseen, seen_progressions, unseen_progressions = train_test_split(
        rows, progressions, random_state=0
    )
    model = lightgbm.LGBMRegressor(
        n_estimators=40, num_leaves=4, learning_rate=0.1, random_state=0, verbose=-1
    )
    model.fit(seen, seen_progressions)
    print(f"diabetes: R² on unseen rows: {model.score(unseen, unseen_progressions):.3f}")
    model.booster_.save_model(FOLDER / "diabetes.txt")
    write_sample("diabetes", Patient(*unseen[0].tolist()))


train_wine()
train_diabetes()
