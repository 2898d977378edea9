"""Three plain functions with a closed formula, so that the best point is known: 0.01, 2 layers, 128 neurons, 0.3."""

import math


def preprocess_function():
    return {"rows": [[0.0, 1.0], [1.0, 0.0]], "scale": 0.9}


def train_function(preprocess_data, learning_rate, hidden_layers, neurons_per_layer, dropout_rate):
    loss = (
        abs(math.log10(learning_rate) + 2) / 10
        + abs(hidden_layers - 2) / 20
        + abs(math.log2(neurons_per_layer / 128)) / 40
        + abs(dropout_rate - 0.3) / 8
    )
    return {"weights": [preprocess_data["scale"] - loss]}


def evaluate_function(train_model):
    return {"validation_accuracy": train_model["weights"][0]}
