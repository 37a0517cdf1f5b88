//! The ONNX format: read, write and inspect models, without a native library.
//!
//! Owns the wire messages ([`proto`]), a [`GraphBuilder`] for models trained here, and the tensors that models are made of. Leaves files, folders, columns and signatures to those who serve models.
#![warn(missing_docs)]

mod builder;
mod error;
pub mod proto;
mod tensor;

pub use builder::{AttributeValue, GraphBuilder, ML_DOMAIN};
pub use error::OnnxError;
pub use tensor::{ElementType, Tensor, TensorData};
