"""Writes the models, inputs and expected outputs beside this file.

The answers are onnxruntime's, which the evaluator has to agree with.
pip install scikit-learn skl2onnx onnxmltools lightgbm xgboost onnxruntime pandas
"""

import json
import math
import pathlib
import sys

import lightgbm
import numpy as np
import onnxruntime
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)
ROWS = 400
KEPT = 40

numbers = RNG.normal(size=(ROWS, 5)).astype(np.float32)
binary = (numbers[:, 0] + numbers[:, 1] * numbers[:, 2] > 0.1).astype(np.int64)
classes = np.digitize(numbers[:, 0] - numbers[:, 3], [-0.7, 0.7]).astype(np.int64)
target = (numbers[:, 0] * 3 + np.sin(numbers[:, 1]) * 10).astype(np.float32)
holes = numbers.copy()
holes[RNG.random(holes.shape) < 0.1] = np.nan
carriers = RNG.choice(["AA", "B6", "UA"], size=(ROWS, 1)).astype(object)
words = np.array(["early", "late"], dtype=object)[binary]


def save(name, model, inputs):
    """Stores the model and what onnxruntime answers to the first rows of `inputs`."""
    data = model.SerializeToString()
    if len(data) > 40_000:
        sys.exit(f"{name} has {len(data)} bytes")
    (HERE / f"{name}.onnx").write_bytes(data)
    inputs = {key: value[:KEPT] for key, value in inputs.items()}
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    outputs = session.run(None, inputs)
    names = [output.name for output in session.get_outputs()]
    document = {
        "inputs": {key: tensor(value) for key, value in inputs.items()},
        "outputs": {key: tensor(value) for key, value in zip(names, outputs)},
    }
    (HERE / f"{name}.json").write_text(json.dumps(document) + "\n")


def tensor(value):
    """A tensor as JSON; dictionaries of probabilities become their values in the order of the keys."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = np.array([[row[key] for key in row] for row in value], dtype=np.float32)
    value = np.asarray(value)
    kind = {"f": "float", "i": "int64"}.get(value.dtype.kind, "string")
    cells = [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in value.ravel().tolist()]
    return {"type": kind, "shape": list(value.shape), "data": cells}


def pipeline(final):
    """One-hot strings, imputed and scaled numbers, and `final` on top."""
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), [f"x{i}" for i in range(5)]),
        ]
    )
    return make_pipeline(columns, final)


def frame():
    import pandas

    table = pandas.DataFrame(holes, columns=[f"x{i}" for i in range(5)])
    table["carrier"] = carriers[:, 0]
    return table


def columns():
    named = {f"x{i}": holes[:, [i]] for i in range(5)}
    return {**named, "carrier": np.where(RNG.random((ROWS, 1)) < 0.1, "??", carriers).astype(object)}


def scikit(name, model, x, y, **options):
    model.fit(x, y)
    save(name, to_onnx(model, x[:1], options={id(model): options} if options else None), {"X": x})


def tabular(name, final, y, **options):
    model = pipeline(final)
    model.fit(frame(), y)
    types = [(f"x{i}", FloatTensorType([None, 1])) for i in range(5)] + [("carrier", StringTensorType([None, 1]))]
    onnx = to_onnx(model, initial_types=types, options={id(model): options} if options else None)
    save(name, onnx, columns())


tabular("pipeline_logistic", LogisticRegression(), words)
tabular("pipeline_mlp", MLPClassifier((6,), max_iter=50, random_state=1), classes, zipmap=False)
scikit("forest", RandomForestClassifier(6, max_depth=5, random_state=1), numbers, classes, zipmap=False)
scikit("forest_binary", RandomForestClassifier(6, max_depth=5, random_state=1), numbers, binary, zipmap=False)
scikit("gradient_regressor", GradientBoostingRegressor(n_estimators=15, random_state=1), numbers, target)
scikit("normal_linear", make_pipeline(Normalizer(), LinearRegression()), numbers, target)

boosted = lightgbm.LGBMClassifier(n_estimators=10, num_leaves=8, verbose=-1).fit(holes, binary)
save("lightgbm_binary", convert_lightgbm(boosted, initial_types=[("X", ToolsFloat([None, 5]))], zipmap=False), {"X": holes})
boosted = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=8, verbose=-1).fit(holes, classes)
save("lightgbm_classes", convert_lightgbm(boosted, initial_types=[("X", ToolsFloat([None, 5]))], zipmap=False), {"X": holes})
boosted = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(holes, binary)
save("xgboost_binary", convert_xgboost(boosted, initial_types=[("X", ToolsFloat([None, 5]))]), {"X": holes})
boosted = xgboost.XGBRegressor(n_estimators=10, max_depth=3).fit(holes, target)
save("xgboost_regressor", convert_xgboost(boosted, initial_types=[("X", ToolsFloat([None, 5]))]), {"X": holes})
