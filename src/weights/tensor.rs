//! The numbers of one parameter as they are kept: how they are quantized, checked and read again. It must not know what
//! a matrix is of.

use super::width::{DEEPEST, LARGEST, Width};
use crate::bfloat16::Bfloat16;
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::half::Half;

/// Whether a parameter can be quantized: a matrix that is multiplied. A chain's moves are added.
pub fn can_be_quantized(name: &str, shape: &[usize]) -> bool {
    shape.len() == 2 && !name.starts_with("crf.")
}

/// The parameters of one name.
///
/// ```
/// use gru_rs::{Config, Rnn, Tensor, Width};
/// let rnn = Rnn::<f32>::new(Config::gru(3, 8))?.quantized(Width::Int8)?;
/// let tensors = rnn.tensors()?; // weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0
/// assert!(matches!(&tensors[0], Tensor::Int8 { numbers, scales } if (numbers.len(), scales.len()) == (24 * 3, 24)));
/// assert_eq!(Rnn::from_tensors(Config::gru(3, 8), tensors)?.flat()[..], rnn.flat()[..]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug, PartialEq)]
pub enum Tensor<F> {
    /// As they were learnt.
    Float(Vec<F>),
    /// A matrix, row by row, and what each row's bytes are multiplied by.
    Int8 {
        /// q
        numbers: Vec<i8>,
        /// s
        scales: Vec<F>,
    },
    /// A matrix, row by row.
    Float16(Vec<Half>),
    /// A matrix, row by row.
    Bfloat16(Vec<Bfloat16>),
}

/// A matrix to be read.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a, F> {
    /// Row by row.
    Float(&'a [F]),
    /// Row by row, with the rows' scales.
    Int8(&'a [i8], &'a [F]),
    /// Row by row.
    Float16(&'a [Half]),
    /// Row by row.
    Bfloat16(&'a [Bfloat16]),
}

impl<'a, F> From<&'a [F]> for Matrix<'a, F> {
    fn from(numbers: &'a [F]) -> Self {
        Matrix::Float(numbers)
    }
}

impl<F: Float> Matrix<'_, F> {
    /// Rows from `first` on, of `columns` numbers.
    pub fn rows(self, first: usize, columns: usize) -> Self {
        match self {
            Matrix::Float(numbers) => Matrix::Float(&numbers[first * columns..]),
            Matrix::Int8(numbers, scales) => Matrix::Int8(&numbers[first * columns..], &scales[first..]),
            Matrix::Float16(numbers) => Matrix::Float16(&numbers[first * columns..]),
            Matrix::Bfloat16(numbers) => Matrix::Bfloat16(&numbers[first * columns..]),
        }
    }

    /// Calls for each number of the first row.
    #[inline(always)]
    pub fn each(self, columns: usize, mut number: impl FnMut(usize, F)) {
        match self {
            Matrix::Float(numbers) => (0..columns).for_each(|i| number(i, numbers[i])),
            Matrix::Int8(numbers, scales) => {
                (0..columns).for_each(|i| number(i, F::from_i32(numbers[i].into()) * scales[0]));
            }
            Matrix::Float16(numbers) => (0..columns).for_each(|i| number(i, F::from_f64(numbers[i].to_f32().into()))),
            Matrix::Bfloat16(numbers) => (0..columns).for_each(|i| number(i, F::from_f64(numbers[i].to_f32().into()))),
        }
    }
}

/// Numbers of 16 bits from the bits.
#[cfg(feature = "python")]
pub(crate) fn of_bits<T: Copy + Default>(bits: &[u16], number: fn(u16) -> T) -> Result<Vec<T>> {
    let mut numbers = zeros(bits.len(), "weights")?;
    numbers.iter_mut().zip(bits).for_each(|(to, &bits)| *to = number(bits));
    Ok(numbers)
}

impl<F: Float> Tensor<F> {
    /// A matrix of rows of `columns` numbers; all must be finite, and fit.
    pub fn quantized(w: &[F], columns: usize, width: Width, name: &str) -> Result<Self> {
        let refuse = |most: &str, got: String| Err(Error::value(name, most, got));
        if let Some(w) = w.iter().map(|w| w.to_f64()).find(|w| !w.is_finite()) {
            return refuse("finite numbers", w.to_string());
        }
        match width {
            Width::Float16 => {
                let most = f64::from(Half::MAX);
                if let Some(w) = w.iter().map(|w| w.to_f64()).find(|w| w.abs() > most) {
                    return refuse("numbers of −65504 to 65504 (the largest of float16)", w.to_string());
                }
                let mut numbers = zeros(w.len(), "quantized weights")?;
                numbers.iter_mut().zip(w).for_each(|(to, w)| *to = Half::from_f64(w.to_f64()));
                Ok(Tensor::Float16(numbers))
            }
            Width::Bfloat16 => {
                let mut numbers: Vec<Bfloat16> = zeros(w.len(), "quantized weights")?;
                numbers.iter_mut().zip(w).for_each(|(to, w)| *to = Bfloat16::from_f64(w.to_f64()));
                let too_large = |(_, number): &(&F, &Bfloat16)| !number.to_f32().is_finite();
                if let Some((w, _)) = w.iter().zip(&numbers).find(too_large) {
                    return refuse("numbers of −3.39e38 to 3.39e38 (the largest of bfloat16)", w.to_string());
                }
                Ok(Tensor::Bfloat16(numbers))
            }
            Width::Int8 => {
                expect_depth(name, columns)?;
                let mut numbers: Vec<i8> = zeros(w.len(), "quantized weights")?;
                let mut scales = zeros(w.len() / columns.max(1), "quantized weights")?;
                for ((scale, row), to) in scales.iter_mut().zip(w.chunks(columns)).zip(numbers.chunks_mut(columns)) {
                    let most = row.iter().fold(0.0f64, |most, w| most.max(w.to_f64().abs()));
                    *scale = F::from_f64(most / LARGEST).flush(F::MIN_NORMAL);
                    if *scale > F::ZERO {
                        to.iter_mut().zip(row).for_each(|(to, w)| {
                            *to = (w.to_f64() / scale.to_f64()).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
                        });
                    }
                }
                Ok(Tensor::Int8 { numbers, scales })
            }
        }
    }

    /// Whether it can be the parameter of that name and shape.
    pub(super) fn check(&self, name: &str, len: usize, shape: &[usize]) -> Result<()> {
        let refuse = |expected: String, got: String| Err(Error::value(name, expected, got));
        if self.len() != len {
            return refuse(format!("{len} numbers, shaped {shape:?}"), self.len().to_string());
        }
        if !matches!(self, Tensor::Float(_)) && !can_be_quantized(name, shape) {
            return refuse(
                "numbers that are not quantized, of the other weights' float type".into(),
                self.name().into(),
            );
        }
        if let Tensor::Bfloat16(numbers) = self {
            let is_operand = |x: &f32| *x == 0.0 || (x.is_finite() && x.abs() >= Bfloat16::SMALLEST);
            if let Some(number) = numbers.iter().map(|number| number.to_f32()).find(|x| !is_operand(x)) {
                return refuse("finite numbers that are 0 or at least 2⁻⁵⁶ in magnitude".into(), number.to_string());
            }
        }
        if let Tensor::Int8 { numbers, scales } = self {
            expect_depth(name, shape[1])?;
            if scales.len() != shape[0] {
                return refuse(format!("{} scales", shape[0]), scales.len().to_string());
            }
            if let Some(scale) = scales.iter().map(|s| s.to_f64()).find(|s| !(*s >= 0.0 && s.is_finite())) {
                return refuse("scales that are finite and not negative".into(), scale.to_string());
            }
            if numbers.contains(&i8::MIN) {
                return refuse("bytes of -127 to 127".into(), i8::MIN.to_string());
            }
        }
        Ok(())
    }

    pub(super) fn name(&self) -> &'static str {
        self.width().map_or(F::NAME, Width::name)
    }

    pub(super) fn width(&self) -> Option<Width> {
        match self {
            Tensor::Float(_) => None,
            Tensor::Int8 { .. } => Some(Width::Int8),
            Tensor::Float16(_) => Some(Width::Float16),
            Tensor::Bfloat16(_) => Some(Width::Bfloat16),
        }
    }

    /// A copy of its own.
    pub(super) fn duplicate(&self) -> Result<Self> {
        let what = "weights";
        Ok(match self {
            Tensor::Float(numbers) => Tensor::Float(copied(numbers, what)?),
            Tensor::Int8 { numbers, scales } => {
                Tensor::Int8 { numbers: copied(numbers, what)?, scales: copied(scales, what)? }
            }
            Tensor::Float16(numbers) => Tensor::Float16(copied(numbers, what)?),
            Tensor::Bfloat16(numbers) => Tensor::Bfloat16(copied(numbers, what)?),
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Tensor::Float(numbers) => numbers.len(),
            Tensor::Int8 { numbers, .. } => numbers.len(),
            Tensor::Float16(numbers) => numbers.len(),
            Tensor::Bfloat16(numbers) => numbers.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Tensor::Float(numbers) => size_of_val(&numbers[..]),
            Tensor::Int8 { numbers, scales } => numbers.len() + size_of_val(&scales[..]),
            Tensor::Float16(numbers) => size_of_val(&numbers[..]),
            Tensor::Bfloat16(numbers) => size_of_val(&numbers[..]),
        }
    }

    pub(super) fn matrix(&self) -> Matrix<'_, F> {
        match self {
            Tensor::Float(numbers) => Matrix::Float(numbers),
            Tensor::Int8 { numbers, scales } => Matrix::Int8(numbers, scales),
            Tensor::Float16(numbers) => Matrix::Float16(numbers),
            Tensor::Bfloat16(numbers) => Matrix::Bfloat16(numbers),
        }
    }
}

fn expect_depth(name: &str, columns: usize) -> Result<()> {
    if columns > DEEPEST {
        return Err(Error::value(name, format!("rows of at most {DEEPEST} bytes"), columns));
    }
    Ok(())
}
