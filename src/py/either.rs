//! What is of one of the two float types, and the same code for both.

/// What is f32 in one object and f64 in another.
#[derive(Debug)]
pub(crate) enum Either<A, B> {
    F32(A),
    F64(B),
}

/// The same code for both.
macro_rules! each {
    ($either:expr, $value:ident => $body:expr) => {
        match $either {
            $crate::py::either::Either::F32($value) => $body,
            $crate::py::either::Either::F64($value) => $body,
        }
    };
}
pub(crate) use each;

/// The same of both, each in its place again.
macro_rules! both {
    ($either:expr, $value:ident => $body:expr) => {
        match $either {
            $crate::py::either::Either::F32($value) => $crate::py::either::Either::F32($body),
            $crate::py::either::Either::F64($value) => $crate::py::either::Either::F64($body),
        }
    };
}
pub(crate) use both;

/// The same of the one that a dtype says.
macro_rules! of_dtype {
    ($dtype:expr, $body:expr) => {
        match $dtype {
            $crate::names::Dtype::Float32 => $crate::py::either::Either::F32($body),
            $crate::names::Dtype::Float64 => $crate::py::either::Either::F64($body),
        }
    };
}
pub(crate) use of_dtype;
