use crate::error::OnnxError;
use crate::proto::{TensorProto, data_type};

/// Largest number of elements that a tensor may have; more is taken for a damaged file.
pub(crate) const MAX_ELEMENTS: usize = 1 << 26;

/// Type of a tensor's elements. Integers of other widths are read as 64-bit ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// 64-bit integer.
    Int64,
    /// Boolean.
    Bool,
    /// Text.
    String,
}

impl ElementType {
    /// The number that stands for it in files.
    pub fn code(self) -> i32 {
        match self {
            Self::Float => data_type::FLOAT,
            Self::Double => data_type::DOUBLE,
            Self::Int64 => data_type::INT64,
            Self::Bool => data_type::BOOL,
            Self::String => data_type::STRING,
        }
    }

    /// The type for a number in a file; narrow integers become [`ElementType::Int64`].
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            data_type::FLOAT => Self::Float,
            data_type::DOUBLE => Self::Double,
            data_type::UINT8..=data_type::INT64 | data_type::UINT32 | data_type::UINT64 => Self::Int64,
            data_type::BOOL => Self::Bool,
            data_type::STRING => Self::String,
            _ => return None,
        })
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Double => "double",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::String => "string",
        })
    }
}

/// Elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named as their element types")]
pub enum TensorData {
    Float(Vec<f32>),
    Double(Vec<f64>),
    Int64(Vec<i64>),
    Bool(Vec<bool>),
    String(Vec<String>),
}

impl TensorData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::String(values) => values.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::Float(_) => ElementType::Float,
            Self::Double(_) => ElementType::Double,
            Self::Int64(_) => ElementType::Int64,
            Self::Bool(_) => ElementType::Bool,
            Self::String(_) => ElementType::String,
        }
    }
}

macro_rules! data_from {
    ($($element:ty => $variant:ident),*) => {$(
        impl From<Vec<$element>> for TensorData {
            fn from(values: Vec<$element>) -> Self {
                Self::$variant(values)
            }
        }
    )*};
}
data_from!(f32 => Float, f64 => Double, i64 => Int64, bool => Bool, String => String);

/// A tensor: shape and elements, which always agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// A tensor of `shape`.
    ///
    /// # Errors
    /// [`OnnxError::Input`] if the shape does not have as many elements as `data`.
    pub fn new(shape: Vec<usize>, data: impl Into<TensorData>) -> Result<Self, OnnxError> {
        let data = data.into();
        if element_count(&shape) != Some(data.len()) {
            return Err(OnnxError::input(format!(
                "a tensor of shape {shape:?} cannot have {} elements",
                data.len()
            )));
        }
        Ok(Self { shape, data })
    }

    /// A column: shape `[rows, 1]`.
    pub fn column(data: impl Into<TensorData>) -> Self {
        let data = data.into();
        Self { shape: vec![data.len(), 1], data }
    }

    /// A vector: shape `[n]`.
    pub fn vector(data: impl Into<TensorData>) -> Self {
        let data = data.into();
        Self { shape: vec![data.len()], data }
    }

    /// Shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Elements, taken out.
    pub fn into_data(self) -> TensorData {
        self.data
    }

    /// Type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.data.element_type()
    }

    /// Rows and columns: the first dimension, and the product of the others. A vector is one row, as ai.onnx.ml reads it.
    pub fn rows_and_columns(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [] => (1, 1),
            [columns] => (1, *columns),
            [rows, rest @ ..] => (*rows, rest.iter().product()),
        }
    }

    /// Numbers as 32-bit floats.
    ///
    /// # Errors
    /// [`OnnxError::Run`] for strings.
    pub fn to_f32(&self) -> Result<std::borrow::Cow<'_, [f32]>, OnnxError> {
        use std::borrow::Cow;
        Ok(match &self.data {
            TensorData::Float(values) => Cow::Borrowed(values),
            TensorData::Double(values) => Cow::Owned(values.iter().map(|v| *v as f32).collect()),
            TensorData::Int64(values) => Cow::Owned(values.iter().map(|v| *v as f32).collect()),
            TensorData::Bool(values) => Cow::Owned(values.iter().map(|v| f32::from(u8::from(*v))).collect()),
            TensorData::String(_) => return Err(OnnxError::run("needs numbers, not strings")),
        })
    }

    /// Integers.
    ///
    /// # Errors
    /// [`OnnxError::Run`] for other types.
    pub fn as_i64(&self) -> Result<&[i64], OnnxError> {
        match &self.data {
            TensorData::Int64(values) => Ok(values),
            other => Err(OnnxError::run(format!("needs int64, not {}", other.element_type()))),
        }
    }

    /// The same elements in another shape.
    pub(crate) fn reshaped(mut self, shape: Vec<usize>) -> Result<Self, OnnxError> {
        if element_count(&shape) != Some(self.data.len()) {
            return Err(OnnxError::run(format!("shape {:?} cannot become {shape:?}", self.shape)));
        }
        self.shape = shape;
        Ok(self)
    }

    /// The form for files.
    pub fn to_proto(&self, name: &str) -> TensorProto {
        let mut proto = TensorProto {
            name: name.to_owned(),
            dims: self.shape.iter().map(|size| *size as i64).collect(),
            data_type: self.element_type().code(),
            ..TensorProto::default()
        };
        match &self.data {
            TensorData::Float(values) => proto.float_data.clone_from(values),
            TensorData::Double(values) => proto.double_data.clone_from(values),
            TensorData::Int64(values) => proto.int64_data.clone_from(values),
            TensorData::Bool(values) => proto.int32_data = values.iter().map(|v| i32::from(*v)).collect(),
            TensorData::String(values) => {
                proto.string_data = values.iter().map(|v| v.as_bytes().to_vec()).collect();
            }
        }
        proto
    }

    /// Reads the form of files.
    ///
    /// # Errors
    /// [`OnnxError::Malformed`] if shape and data disagree, [`OnnxError::Unsupported`] for other element types.
    pub fn from_proto(proto: &TensorProto) -> Result<Self, OnnxError> {
        if proto.data_location != 0 {
            return Err(OnnxError::unsupported("external data"));
        }
        let shape = proto.dims.iter().map(|size| usize::try_from(*size).ok()).collect::<Option<Vec<_>>>();
        let data = read_data(proto)?;
        match shape {
            Some(shape) if element_count(&shape) == Some(data.len()) => Ok(Self { shape, data }),
            _ => Err(OnnxError::malformed(format!(
                "the tensor `{}` has {} elements, which is not its shape {:?}",
                proto.name,
                data.len(),
                proto.dims
            ))),
        }
    }
}

/// Elements of a shape, if it is a sane number.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size)).filter(|n| *n <= MAX_ELEMENTS)
}

fn read_data(proto: &TensorProto) -> Result<TensorData, OnnxError> {
    let raw = proto.raw_data.as_slice();
    let narrow = || proto.int32_data.iter().map(|v| i64::from(*v)).collect::<Vec<_>>();
    Ok(match proto.data_type {
        data_type::FLOAT if raw.is_empty() => proto.float_data.clone().into(),
        data_type::FLOAT => numbers(raw, f32::from_le_bytes)?.into(),
        data_type::DOUBLE if raw.is_empty() => proto.double_data.clone().into(),
        data_type::DOUBLE => numbers(raw, f64::from_le_bytes)?.into(),
        data_type::INT64 if raw.is_empty() => proto.int64_data.clone().into(),
        data_type::INT64 => numbers(raw, i64::from_le_bytes)?.into(),
        data_type::STRING => texts(&proto.string_data)?.into(),
        data_type::BOOL if raw.is_empty() => {
            proto.int32_data.iter().map(|v| *v != 0).collect::<Vec<bool>>().into()
        }
        data_type::BOOL => raw.iter().map(|v| *v != 0).collect::<Vec<bool>>().into(),
        data_type::UINT32 | data_type::UINT64 if raw.is_empty() => {
            proto.uint64_data.iter().map(|v| *v as i64).collect::<Vec<i64>>().into()
        }
        data_type::UINT8..=data_type::INT32 if raw.is_empty() => narrow().into(),
        data_type::INT32 => numbers(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))?.into(),
        data_type::UINT8 => raw.iter().map(|v| i64::from(*v)).collect::<Vec<i64>>().into(),
        data_type::UINT32 => numbers(raw, |bytes| i64::from(u32::from_le_bytes(bytes)))?.into(),
        other => return Err(OnnxError::unsupported(format!("tensor of type {other}"))),
    })
}

fn numbers<const WIDTH: usize, T>(raw: &[u8], read: impl Fn([u8; WIDTH]) -> T) -> Result<Vec<T>, OnnxError> {
    let (chunks, rest) = raw.as_chunks::<WIDTH>();
    if !rest.is_empty() {
        return Err(OnnxError::malformed("a tensor's bytes end in the middle of an element"));
    }
    Ok(chunks.iter().map(|chunk| read(*chunk)).collect())
}

pub(crate) fn texts(bytes: &[Vec<u8>]) -> Result<Vec<String>, OnnxError> {
    bytes
        .iter()
        .map(|text| {
            String::from_utf8(text.clone()).map_err(|_| OnnxError::malformed("a string is not UTF-8"))
        })
        .collect()
}
