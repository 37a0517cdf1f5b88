/// Why a model cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are no ONNX model.
    #[error("not an ONNX model: {message}")]
    Decode {
        /// The decoder's words.
        message: String,
    },
    /// An operator that this evaluator does not have.
    #[error("the operator `{domain}{operator}` is not supported")]
    Unsupported {
        /// Domain with its `::`, empty for the standard one.
        domain: String,
        /// Operator, or operator and the option that is missing.
        operator: String,
    },
    /// The model contradicts itself.
    #[error("the model is malformed: {message}")]
    Malformed {
        /// Where and how.
        message: String,
    },
    /// What was given does not fit the model's inputs.
    #[error("{message}")]
    Input {
        /// Which input, and what was expected.
        message: String,
    },
    /// A node cannot compute its outputs from its inputs.
    #[error("`{node}`: {message}")]
    Run {
        /// Operator and name of the node.
        node: String,
        /// Why.
        message: String,
    },
}

impl OnnxError {
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed { message: message.into() }
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into() }
    }

    /// A failure inside an operator; the session adds the node's name.
    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self::Run { node: String::new(), message: message.into() }
    }

    pub(crate) fn unsupported(operator: impl Into<String>) -> Self {
        Self::Unsupported { domain: String::new(), operator: operator.into() }
    }
}
