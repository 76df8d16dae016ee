"""Reads handwritten digits with Keras on TensorFlow, those that arrive together as one batch."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf


@dataclass
class Image:
    pixels: list[list[float]]
    """Eight rows of eight, from 0 (paper) to 16 (ink)."""


class Handler:
    def __init__(self, config):
        tf.config.threading.set_intra_op_parallelism_threads(config["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(config["threads"])
        network = keras.saving.load_model(config["model"], compile=False)
        images = tf.TensorSpec((None, 8, 8), tf.float32)  # one graph for batches of any size
        self.network = tf.function(lambda batch: network(batch, training=False), input_signature=[images])
        self.network(np.zeros((1, 8, 8), np.float32))  # traces the graph before the first request

    def predict(self, payload: list[Image]):
        images = np.asarray([image.pixels for image in payload], np.float32)
        shares = self.network(images).numpy()
        return [{"digit": row.argmax(), "confidence": round(float(row.max()), 4)} for row in shares]
