//! The ONNX format: read, write, inspect and evaluate models, without a native library.
//!
//! Owns the wire messages ([`proto`]), a [`GraphBuilder`] for models trained here, and a [`Session`] that evaluates what
//! scikit-learn, LightGBM and XGBoost exports are made of. Leaves files, folders, columns and signatures to those who serve models.
//! Neural networks beyond dense layers are out of its scope: an operator it does not know is an error that names it.
#![warn(missing_docs)]

mod attributes;
mod builder;
mod error;
mod operators;
pub mod proto;
mod session;
mod summary;
mod tensor;
mod trees;

pub use builder::{AttributeValue, GraphBuilder, ML_DOMAIN};
pub use error::OnnxError;
pub use session::{Session, ValueDoc};
pub use summary::{Port, Summary, summarise};
pub use tensor::{ElementType, Tensor, TensorData};
