"""Makes digits.onnx (and sample.json, an image that it has not seen). A few seconds.

pip install scikit-learn skl2onnx && python train.py
"""

import json
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parent

images, digits = load_digits(return_X_y=True)
seen, unseen, seen_digits, unseen_digits = train_test_split(images, digits, random_state=0)
model = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=500, random_state=0))
model.fit(seen, seen_digits)
print(f"accuracy on unseen images: {model.score(unseen, unseen_digits):.3f}")

network = to_onnx(
    model,
    initial_types=[("pixels", FloatTensorType([None, 64]))],
    options={id(model): {"zipmap": False}},
)
(FOLDER / "digits.onnx").write_bytes(network.SerializeToString())
three = unseen[list(unseen_digits).index(3)].reshape(8, 8).astype(int).tolist()
(FOLDER / "sample.json").write_text(json.dumps({"pixels": three}) + "\n")
