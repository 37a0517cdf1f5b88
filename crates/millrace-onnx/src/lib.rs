//! millrace-onnx
