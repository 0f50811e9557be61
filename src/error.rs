//! The one error of the crate. It knows how to name the argument, what was expected and what came;
//! it must not know who raised it or how Python will see it.

/// What went wrong, in the words of the caller's own arguments.
///
/// ```
/// use gru_rs::{Config, Gru};
/// let error = Gru::<f32>::new(Config { hidden: 0, ..Config::gru(3, 8) }).unwrap_err();
/// assert_eq!(error.to_string(), "hidden_size: expected a positive integer, got 0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value or a shape that cannot be used.
    #[error("{argument}: expected {expected}, got {got}")]
    Value {
        /// The argument's name, as the caller wrote it.
        argument: String,
        /// What would have been accepted.
        expected: String,
        /// What was passed instead.
        got: String,
    },
    /// The call is right but the object is not in a state to take it.
    #[error("{0}")]
    State(String),
    /// The operating system refused memory.
    #[error("{what}: {bytes} bytes could not be allocated")]
    Memory {
        /// What the memory was for.
        what: &'static str,
        /// How much was asked for.
        bytes: usize,
    },
    /// A file cannot be read, or does not hold what it should.
    #[error("{file}: {reason}")]
    File {
        /// Its path.
        file: String,
        /// What the system says, or what of the file cannot be used.
        reason: String,
    },
    /// Whoever called wanted a long call to end: Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An argument that cannot be used.
    pub(crate) fn value(argument: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Error::Value { argument: argument.into(), expected: expected.into(), got: got.to_string() }
    }

    /// An object that cannot take this call now.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Error::State(message.into())
    }
}
