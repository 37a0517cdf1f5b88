"""Writes a model folder in MLflow's layout around an ONNX graph, without importing MLflow."""

import hashlib
import json
import os

#: MLflow's names of column types.
_TYPES = ("boolean", "integer", "long", "float", "double", "string", "datetime")


def save_model(folder, onnx, inputs, *, task, target=None, classes=None, example=None):
    """Saves an ONNX graph as a model that Millrace serves and that `mlflow.onnx.load_model` loads.

    folder   path to write to, usually `millrace.output("model")`; made if absent
    onnx     the serialised graph, bytes: `model.SerializeToString()`
    inputs   column name to MLflow type (`double`, `string`, ...), in the order the model wants them
    task     `classification` or `regression`
    target   name of the predicted column
    classes  labels in the order of the probability columns, for classification
    example  one row as a dict, shown in the UI and used to warm the model up

    Raises ValueError if a type or the task is unknown, or a classifier has no classes.
    """
    unknown = sorted({kind for kind in inputs.values() if kind not in _TYPES})
    if unknown:
        raise ValueError(f"unknown column type `{unknown[0]}`; types are {', '.join(_TYPES)}")
    if task not in ("classification", "regression"):
        raise ValueError(f"unknown task `{task}`; it is `classification` or `regression`")
    if task == "classification" and not classes:
        raise ValueError("a classifier needs `classes`, in the order of its probability columns")
    labels = [str(label) for label in classes or []]
    os.makedirs(folder, exist_ok=True)
    _write(folder, "model.onnx", onnx)
    given = [{"name": name, "type": kind, "required": True} for name, kind in inputs.items()]
    outputs = [{"name": "prediction", "type": "string" if labels else "double", "required": True}]
    outputs += [{"name": f"probability_{label}", "type": "double", "required": True} for label in labels]
    names = {"task": task, "target": target, "classes": labels}
    lines = ["flavors:"]
    lines += ["  onnx:", "    data: model.onnx", f"    onnx_version: {json.dumps(_version('onnx'))}", "    code: null"]
    lines += ["  python_function:", "    data: model.onnx", "    loader_module: mlflow.onnx", "    env: {virtualenv: requirements.txt}"]
    lines += ["metadata:", f"  millrace: {json.dumps({key: value for key, value in names.items() if value is not None})}"]
    # Equal models have equal folders, so the id comes from the content.
    lines += [f"model_uuid: {json.dumps(hashlib.sha256(onnx).hexdigest()[:32])}"]
    lines += ["signature:", f"  inputs: {json.dumps(json.dumps(given))}", f"  outputs: {json.dumps(json.dumps(outputs))}"]
    if example is not None:
        row = {"columns": list(example), "data": [list(example.values())]}
        _write(folder, "input_example.json", (json.dumps(row, indent=1) + "\n").encode())
        lines += ["saved_input_example_info:", "  artifact_path: input_example.json", "  type: dataframe", "  pandas_orient: split"]
    requirements = [f"{name}=={version}" for name in ("onnx", "onnxruntime") if (version := _version(name))]
    _write(folder, "requirements.txt", "".join(line + "\n" for line in requirements).encode())
    _write(folder, "MLmodel", ("\n".join(lines) + "\n").encode())


def _version(package):
    from importlib import metadata  # Costs more than the rest of this package together; only who saves a model pays for it.

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _write(folder, name, content):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)
