"""A random forest of scikit-learn on the training rows, handed on as an ONNX model."""

import millrace
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

TEXTS = ["carrier", "origin", "dest"]
NUMBERS = [
    "weekday", "hour", "minute_of_day", "distance", "departures", "temperature", "humidity", "wind_speed", "precipitation",
    "pressure", "visibility", "plane_age", "seats", "dest_latitude", "dest_longitude", "late_month_before",
]


def fit(rows, trees):
    columns = ColumnTransformer([
        ("text", OneHotEncoder(handle_unknown="ignore"), TEXTS),
        ("number", SimpleImputer(strategy="median"), NUMBERS),
    ])
    forest = RandomForestClassifier(trees, max_depth=12, min_samples_leaf=40, max_samples=0.3, n_jobs=2, random_state=7)
    model = Pipeline([("columns", columns), ("forest", forest)])
    return model.fit(rows[TEXTS + NUMBERS], rows["late"].astype("int64"))


def to_onnx(model):
    # Imported here: the forest of the warm worker that runs this script has them only when they are needed.
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs = [(name, StringTensorType([None, 1])) for name in TEXTS]
    inputs += [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    graph = convert(model, initial_types=inputs, options={id(model): {"zipmap": False}}, target_opset={"": 18, "ai.onnx.ml": 3})
    return graph.SerializeToString()


def main():
    given = millrace.inputs()
    trees = int(given["trees"])
    rows = pandas.read_parquet(given["train"])
    rows[NUMBERS] = rows[NUMBERS].astype("float64")
    rows[TEXTS] = rows[TEXTS].astype(object)
    millrace.log_params({"algorithm": "random forest", "trees": trees, "max_depth": 12})
    model = fit(rows, trees)
    accuracy = model.score(rows[TEXTS + NUMBERS], rows["late"].astype("int64"))
    millrace.log_metric("training_accuracy", accuracy)
    millrace.save_model(
        millrace.output("model"),
        to_onnx(model),
        {**{name: "string" for name in TEXTS}, **{name: "double" for name in NUMBERS}},
        task="classification",
        target="late",
        classes=["false", "true"],
        example=rows[TEXTS + NUMBERS].dropna().iloc[0].to_dict(),
    )
    print(f"{trees} trees on {len(rows)} rows, accuracy on them {accuracy:.3f}")


if __name__ == "__main__":
    main()
