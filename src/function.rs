//! The functions of the gates and of the candidate, and the bound on their arguments: which there are, and
//! their names. It must not know how they are computed.

use crate::error::{Error, Result};

/// A function that a gate or a candidate may have.
///
/// ```
/// use gru_rs::Function;
/// assert_eq!(Function::named("activation", "relu")?, Function::Relu);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, x)
    Relu,
    /// x / 6 + 1/2 within [0, 1]: PyTorch's hardsigmoid and that of Keras 3.
    HardSigmoid,
    /// 0.2 x + 1/2 within [0, 1]: that of Keras 1 and 2, and ONNX's unless its node says otherwise.
    HardSigmoidFifth,
}

impl Function {
    /// The slope between the bounds of one that is made of straight lines.
    pub(crate) fn slope(self) -> f64 {
        match self {
            Self::Sigmoid | Self::Tanh | Self::Relu => 1.0,
            Self::HardSigmoid => 1.0 / 6.0,
            Self::HardSigmoidFifth => 0.2,
        }
    }
}

/// The functions of a cell.
///
/// ```
/// use gru_rs::{Config, Function, Functions, Gru};
/// let functions = Functions { gate: Function::HardSigmoid, clip: Some(3.0), ..Functions::default() };
/// let gru = Gru::<f32>::new(Config { functions, ..Config::gru(3, 8) })?;
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Functions {
    /// Of the gates r and z, or i, f and o.
    pub gate: Function,
    /// Of n, or of g and of the c that goes out.
    pub candidate: Function,
    /// Bounds the pre-activations of gates and candidates to ± this: not the c that goes out.
    pub clip: Option<f64>,
}

impl Default for Functions {
    fn default() -> Self {
        Self { gate: Function::Sigmoid, candidate: Function::Tanh, clip: None }
    }
}

impl Functions {
    pub(crate) fn check(&self) -> Result<()> {
        match self.clip {
            Some(clip) if !(clip > 0.0 && clip.is_finite()) => Err(Error::value("clip", "a positive number", clip)),
            _ => Ok(()),
        }
    }
}
