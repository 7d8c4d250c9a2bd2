#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the digits classifier and writes the files that the demo uses.

    python3 -m venv /tmp/digits-venv
    /tmp/digits-venv/bin/pip install --require-hashes -r examples/digits/requirements.txt
    /tmp/digits-venv/bin/python examples/digits/train.py            # writes the files
    /tmp/digits-venv/bin/python examples/digits/train.py --check    # compares, writes nothing

The files, all beside this script:
    model.onnx       image FP32 [-1,64]  ->  label INT64 [-1], probabilities FP32 [-1,10]
    heldout.f32      the held-out images, 64 little-endian FP32 each, grey levels 0 to 16
    heldout.labels   the digit each of them shows, one byte each, 0 to 9
    request.json     the first of them as an inference request, for curl

Everything is seeded. On the same machine two runs write the same bytes; on another processor the
arithmetic may round differently, so --check compares predictions and accuracy, not bytes.
"""

import argparse
import os
import pathlib
import sys

# One thread, set before the numeric libraries start: sums are then added in a fixed order.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = pathlib.Path(__file__).resolve().parent
GREY_LEVELS = 16.0
HELD_OUT = 450
REQUIRED_ACCURACY = 0.97


def train():
    """Returns the fitted classifier and the held-out images and labels."""
    images, labels = load_digits(return_X_y=True)
    train_images, held_images, train_labels, held_labels = train_test_split(
        images, labels, test_size=HELD_OUT, stratify=labels, random_state=1797)
    # Width and regularisation were chosen by five-fold cross-validation on the training part only.
    classifier = MLPClassifier((64,), alpha=0.1, max_iter=2000, random_state=0)
    classifier.fit(train_images / GREY_LEVELS, train_labels)
    return classifier, held_images.astype("<f4"), held_labels.astype(np.uint8)


def to_onnx(classifier):
    """Writes the network with plain operators, so that its outputs are tensors and not maps."""
    (weight1, weight2), (bias1, bias2) = classifier.coefs_, classifier.intercepts_
    # Scaling the grey levels is folded into the first layer: 16 is a power of two, so the
    # division is exact and callers can send the grey levels as they are.
    tensors = {"weight1": weight1 / GREY_LEVELS, "bias1": bias1, "weight2": weight2, "bias2": bias2}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["image", "weight1", "bias1"], ["sum1"]),
            helper.make_node("Relu", ["sum1"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "weight2", "bias2"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10]),
        ],
        [numpy_helper.from_array(value.astype(np.float32), name)
         for name, value in tensors.items()],
    )
    # Operator set and format are older than needed: any ONNX Runtime since 1.15 reads them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="examples/digits/train.py")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def predict(model, images):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"image": images})
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(probabilities.argmax(axis=1), labels)
    return labels


def json_request(image):
    """One image as the body of an inference request; a row of the picture is a row of text."""
    rows = ",\n".join("      " + ", ".join(f"{int(pixel):2}" for pixel in row)
                       for row in image.reshape(8, 8))
    return f"""{{
  "inputs": [{{
    "name": "image", "datatype": "FP32", "shape": [1, 64],
    "data": [
{rows}
    ]
  }}]
}}
""".encode()


def main():
    parser = argparse.ArgumentParser(description="Trains the digits classifier.")
    parser.add_argument("--check", action="store_true",
                        help="train again and compare with the committed files, write nothing")
    arguments = parser.parse_args()

    classifier, images, labels = train()
    model = to_onnx(classifier)
    predicted = predict(model, images)
    assert np.array_equal(predicted, classifier.predict(images / GREY_LEVELS)), \
        "the exported model and the classifier it was made from disagree"
    accuracy = float((predicted == labels).mean())
    print(f"model {len(model)} bytes, accuracy {accuracy:.4f} on {len(labels)} held-out images")
    if accuracy < REQUIRED_ACCURACY:
        sys.exit(f"accuracy {accuracy:.4f} is below {REQUIRED_ACCURACY}")

    files = {"model.onnx": model, "heldout.f32": images.tobytes(),
             "heldout.labels": labels.tobytes(), "request.json": json_request(images[0])}
    if not arguments.check:
        for name, content in files.items():
            (HERE / name).write_bytes(content)
        return
    for name in ("heldout.f32", "heldout.labels", "request.json"):
        if (HERE / name).read_bytes() != files[name]:
            sys.exit(f"{name} is not what this script makes from the data set")
    committed = predict((HERE / "model.onnx").read_bytes(), images)
    same = int((committed == predicted).sum())
    print(f"committed model: accuracy {(committed == labels).mean():.4f}, "
          f"{same} of {len(labels)} predictions are the same")
    # A different rounding may move an image that lies on the border, not more.
    if same < len(labels) - 2 or (committed == labels).mean() < REQUIRED_ACCURACY:
        sys.exit("the committed model is not the one that this script makes")


if __name__ == "__main__":
    main()
