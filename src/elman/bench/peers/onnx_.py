"""The operators LSTM, GRU and RNN of ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from elman.bench.case import Arrays
from elman.bench.job import Cannot, Job, Ready
from elman.bench.peers.published import ONNX, converted, kind_of

OPSET = 21


def prepare(job: Job) -> Ready:
    """A model of one operator, its weights inside, so that the runtime packs them once."""
    if job.case.dtype != "float32":
        raise Cannot("its operators run in float32 only")
    kind = kind_of(job, ONNX, "ONNX")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.case.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model_of(job, kind).SerializeToString(), options, ["CPUExecutionProvider"]
    )
    feed = {"X": job.stream}

    def call() -> Any:
        return session.run(None, feed)

    def arrays(found: Any) -> Arrays:
        return {job.cell.returns[0]: found[0][:, 0]}  # (T, directions, B, H)

    return Ready(call, arrays, keeps_memory=True)


def model_of(job: Job, kind: str) -> Any:
    """The ONNX model: X (T, B, I) -> Y (T, 1, B, H) and the last states."""
    case = job.case
    after = case.cell == "gru_reset_after"
    weights = converted(job, job.given.weights, "onnx-reset-after" if after else "onnx")
    attributes: dict[str, Any] = {"hidden_size": case.hidden_size}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(after)
    outputs = ["Y", "Y_h", *(["Y_c"] if kind == "LSTM" else [])]
    operator = helper.make_node(kind, ["X", "W", "R", "B"], outputs, **attributes)
    shape = [case.steps, case.batch, case.input_size]
    graph = helper.make_graph(
        [operator],
        case.cell,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(weights[name]), name) for name in "WRB"],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = min(model.ir_version, 10)
    return model
