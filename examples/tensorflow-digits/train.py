"""Makes digits.keras (and sample.json, an image that the network has not seen). A few seconds on a CPU.

pip install -r requirements.txt scikit-learn && python train.py
"""

import json
from pathlib import Path

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

FOLDER = Path(__file__).parent

keras.utils.set_random_seed(0)
images, digits = load_digits(return_X_y=True)
pixels = images.reshape(-1, 8, 8).astype("float32")
seen, unseen, seen_digits, unseen_digits = train_test_split(pixels, digits, random_state=0)

network = keras.Sequential(
    [
        keras.layers.Input((8, 8)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Reshape((8, 8, 1)),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(seen, seen_digits, batch_size=64, epochs=20, verbose=0)
_, accuracy = network.evaluate(unseen, unseen_digits, verbose=0)
print(f"accuracy on unseen images: {accuracy:.3f}")

uncompiled = keras.Model(network.inputs, network.outputs)  # the optimizer has two values more for each weight
uncompiled.save(FOLDER / "digits.keras")
five = unseen[list(unseen_digits).index(5)].astype(int).tolist()
(FOLDER / "sample.json").write_text(json.dumps({"pixels": five}) + "\n")
