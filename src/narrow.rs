//! Matrices of 8 or 16 bits in place of 32: how they are made, kept and read again. It must not know what a matrix
//! is of.
//!
//! ```text
//! int8       w ≈ s q, q of −127 … 127, s = max |w| / 127 of each row
//! float16    w ≈ the nearest of 16 bits
//! ```

use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::half::Half;
use std::ops::Range;

/// What the numbers of a network's matrices are kept in, once it has learnt all it shall.
///
/// ```
/// use gru_rs::{Batch, Config, Narrow, Rnn};
/// let gru = Rnn::<f32>::new(Config::gru(64, 128))?;
/// let narrow = gru.narrowed(Narrow::Int8)?;
/// assert!(narrow.bytes() * 100 < gru.bytes() * 27);
/// let x = vec![0.5; 20 * 64];
/// let batch = Batch { x: &x, batch: 1, seq: 20, states: &[], lengths: None, resets: None };
/// let (y, expected) = (narrow.run(&batch)?.y, gru.run(&batch)?.y);
/// assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.01));
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// 8 bits, with a scale for each row; what they multiply is rounded to 8 bits too, by a scale of its own each time.
    Int8,
    /// 16 bits; what they multiply stays as it is.
    Float16,
}

impl Narrow {
    /// NumPy's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Narrow::Int8 => "int8",
            Narrow::Float16 => "float16",
        }
    }
}

/// The parameters' names, their place in a flat buffer and their shapes, in order.
pub type Names = [(String, Range<usize>, Vec<usize>)];

/// Whether a parameter can be narrow: a matrix that is multiplied. A chain's moves are added.
pub fn can_be_narrow(name: &str, shape: &[usize]) -> bool {
    shape.len() == 2 && !name.starts_with("crf.")
}

/// The largest of the bytes; −128 is none of them.
pub const LARGEST: f64 = 127.0;

/// Bytes of a row whose products, however they are raised, add up in 32 bits.
pub const DEEPEST: usize = (i32::MAX / (255 * 127)) as usize;

/// The parameters of one name.
///
/// ```
/// use gru_rs::{Config, Narrow, Part, Rnn};
/// let rnn = Rnn::<f32>::new(Config::gru(3, 8))?.narrowed(Narrow::Int8)?;
/// let parts = rnn.parts()?; // weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0
/// assert!(matches!(&parts[0], Part::Int8 { numbers, scales } if (numbers.len(), scales.len()) == (24 * 3, 24)));
/// assert_eq!(Rnn::of_parts(Config::gru(3, 8), parts)?.flat()[..], rnn.flat()[..]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug, PartialEq)]
pub enum Part<F> {
    /// As they were learnt.
    Whole(Vec<F>),
    /// A matrix, row by row, and what each row's bytes are multiplied by.
    Int8 {
        /// q
        numbers: Vec<i8>,
        /// s
        scales: Vec<F>,
    },
    /// A matrix, row by row.
    Float16(Vec<Half>),
}

/// A matrix to be read.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a, F> {
    /// Row by row.
    Whole(&'a [F]),
    /// Row by row, with the rows' scales.
    Int8(&'a [i8], &'a [F]),
    /// Row by row.
    Float16(&'a [Half]),
}

impl<'a, F> From<&'a [F]> for Matrix<'a, F> {
    fn from(numbers: &'a [F]) -> Self {
        Matrix::Whole(numbers)
    }
}

impl<F: Float> Matrix<'_, F> {
    /// Rows from `first` on, of `columns` numbers.
    pub fn rows(self, first: usize, columns: usize) -> Self {
        match self {
            Matrix::Whole(numbers) => Matrix::Whole(&numbers[first * columns..]),
            Matrix::Int8(numbers, scales) => Matrix::Int8(&numbers[first * columns..], &scales[first..]),
            Matrix::Float16(numbers) => Matrix::Float16(&numbers[first * columns..]),
        }
    }

    /// Calls for each number of the first row.
    #[inline(always)]
    pub fn each(self, columns: usize, mut number: impl FnMut(usize, F)) {
        match self {
            Matrix::Whole(numbers) => (0..columns).for_each(|i| number(i, numbers[i])),
            Matrix::Int8(numbers, scales) => {
                (0..columns).for_each(|i| number(i, F::from_i32(numbers[i].into()) * scales[0]));
            }
            Matrix::Float16(numbers) => (0..columns).for_each(|i| number(i, from_half(numbers[i]))),
        }
    }
}

/// Numbers of 16 bits from the bits.
#[cfg(feature = "python")]
pub(crate) fn halves(bits: &[u16]) -> Result<Vec<Half>> {
    let mut numbers = zeros(bits.len(), "weights")?;
    numbers.iter_mut().zip(bits).for_each(|(to, &bits)| *to = Half(bits));
    Ok(numbers)
}

fn from_half<F: Float>(x: Half) -> F {
    F::from_f64(x.to_f32().into())
}

impl<F: Float> Part<F> {
    /// A matrix of rows of `columns` numbers; all must be finite, and fit.
    pub fn narrowed(w: &[F], columns: usize, narrow: Narrow, name: &str) -> Result<Self> {
        let refuse = |most: &str, got: String| Err(Error::value(name, most, got));
        if let Some(w) = w.iter().map(|w| w.to_f64()).find(|w| !w.is_finite()) {
            return refuse("finite numbers", w.to_string());
        }
        match narrow {
            Narrow::Float16 => {
                let most = f64::from(Half::MAX);
                if let Some(w) = w.iter().map(|w| w.to_f64()).find(|w| w.abs() > most) {
                    return refuse("numbers of −65504 to 65504, the largest of float16,", w.to_string());
                }
                let mut numbers = zeros(w.len(), "narrow weights")?;
                numbers.iter_mut().zip(w).for_each(|(to, w)| *to = Half::from_f64(w.to_f64()));
                Ok(Part::Float16(numbers))
            }
            Narrow::Int8 => {
                expect_depth(name, columns)?;
                let mut numbers: Vec<i8> = zeros(w.len(), "narrow weights")?;
                let mut scales = zeros(w.len() / columns.max(1), "narrow weights")?;
                for ((scale, row), to) in scales.iter_mut().zip(w.chunks(columns)).zip(numbers.chunks_mut(columns)) {
                    let most = row.iter().fold(0.0f64, |most, w| most.max(w.to_f64().abs()));
                    *scale = F::from_f64(most / LARGEST).flush(F::MIN_NORMAL);
                    if *scale > F::ZERO {
                        to.iter_mut().zip(row).for_each(|(to, w)| {
                            *to = (w.to_f64() / scale.to_f64()).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
                        });
                    }
                }
                Ok(Part::Int8 { numbers, scales })
            }
        }
    }

    /// Whether it can be the parameter of that name and shape.
    fn check(&self, name: &str, len: usize, shape: &[usize]) -> Result<()> {
        let refuse = |expected: String, got: String| Err(Error::value(name, expected, got));
        if self.len() != len {
            return refuse(format!("{len} numbers, shaped {shape:?}"), self.len().to_string());
        }
        if !matches!(self, Part::Whole(_)) && !can_be_narrow(name, shape) {
            return refuse("numbers that are not narrow, of the other weights' float type".into(), self.name().into());
        }
        if let Part::Int8 { numbers, scales } = self {
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

    fn name(&self) -> &'static str {
        self.narrow().map_or(F::NAME, Narrow::name)
    }

    fn narrow(&self) -> Option<Narrow> {
        match self {
            Part::Whole(_) => None,
            Part::Int8 { .. } => Some(Narrow::Int8),
            Part::Float16(_) => Some(Narrow::Float16),
        }
    }

    /// A copy of its own.
    fn duplicate(&self) -> Result<Self> {
        let what = "weights";
        Ok(match self {
            Part::Whole(numbers) => Part::Whole(copied(numbers, what)?),
            Part::Int8 { numbers, scales } => {
                Part::Int8 { numbers: copied(numbers, what)?, scales: copied(scales, what)? }
            }
            Part::Float16(numbers) => Part::Float16(copied(numbers, what)?),
        })
    }

    fn len(&self) -> usize {
        match self {
            Part::Whole(numbers) => numbers.len(),
            Part::Int8 { numbers, .. } => numbers.len(),
            Part::Float16(numbers) => numbers.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Part::Whole(numbers) => size_of_val(&numbers[..]),
            Part::Int8 { numbers, scales } => numbers.len() + size_of_val(&scales[..]),
            Part::Float16(numbers) => size_of_val(&numbers[..]),
        }
    }

    fn matrix(&self) -> Matrix<'_, F> {
        match self {
            Part::Whole(numbers) => Matrix::Whole(numbers),
            Part::Int8 { numbers, scales } => Matrix::Int8(numbers, scales),
            Part::Float16(numbers) => Matrix::Float16(numbers),
        }
    }
}

fn expect_depth(name: &str, columns: usize) -> Result<()> {
    if columns > DEEPEST {
        return Err(Error::value(name, format!("rows of at most {DEEPEST} bytes"), columns));
    }
    Ok(())
}

/// A network's parameters end to end: in one part as long as they are learnt; when they are narrow, in a part for each
/// matrix and one for what lies between.
#[derive(Debug)]
pub struct Store<F>(Vec<(usize, Part<F>)>);

impl<F: Float> Store<F> {
    /// To be learnt.
    pub fn whole(flat: Vec<F>) -> Self {
        Self(vec![(0, Part::Whole(flat))])
    }

    /// The parameters of these names and shapes, a part each: to be learnt if all are whole.
    pub fn of_names(names: &Names, parts: Vec<Part<F>>) -> Result<Self> {
        if parts.len() != names.len() {
            return Err(Error::value("parts", format!("one for each of {} names", names.len()), parts.len()));
        }
        for ((name, place, shape), part) in names.iter().zip(&parts) {
            part.check(name, place.len(), shape)?;
        }
        let mut kinds = names.iter().zip(&parts).filter(|((name, _, shape), _)| can_be_narrow(name, shape));
        if let Some((_, first)) = kinds.next()
            && let Some(((name, ..), other)) = kinds.find(|(_, part)| part.narrow() != first.narrow())
        {
            return Err(Error::value(name, first.name(), other.name()));
        }
        Self::of(parts)
    }

    /// To be kept, in order.
    pub fn of(parts: Vec<Part<F>>) -> Result<Self> {
        let (mut own, mut begin): (Vec<(usize, Part<F>)>, usize) = (Vec::new(), 0);
        for part in parts {
            let len = part.len();
            match (own.last_mut(), part) {
                (Some((_, Part::Whole(before))), Part::Whole(numbers)) => {
                    let refused = |_| Error::Memory { what: "weights", bytes: size_of_val(&numbers[..]) };
                    before.try_reserve(len).map_err(refused)?;
                    before.extend_from_slice(&numbers);
                }
                (_, part) => own.push((begin, part)),
            }
            begin += len;
        }
        Ok(Self(own))
    }

    /// All of them, if they can be learnt.
    pub fn flat(&self) -> Option<&[F]> {
        match &self.0[..] {
            [(0, Part::Whole(flat))] => Some(flat),
            _ => None,
        }
    }

    /// The same, to be written.
    pub fn flat_mut(&mut self) -> Option<&mut [F]> {
        match &mut self.0[..] {
            [(0, Part::Whole(flat))] => Some(flat),
            _ => None,
        }
    }

    /// All numbers.
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |(begin, part)| begin + part.len())
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, part)| part.bytes()).sum()
    }

    /// What matrices are kept in; none for whole ones.
    pub fn narrow(&self) -> Option<Narrow> {
        self.0.iter().find_map(|(_, part)| part.narrow())
    }

    /// A copy of the parts, one for each name.
    pub fn parts(&self, names: &Names) -> Result<Vec<Part<F>>> {
        names.iter().map(|(_, place, _)| self.part(place)).collect()
    }

    /// A copy of a matrix, or of what lies there of numbers that are whole.
    fn part(&self, place: &Range<usize>) -> Result<Part<F>> {
        match self.at(place) {
            (begin, Part::Whole(numbers)) => {
                Ok(Part::Whole(copied(&numbers[place.start - begin..place.end - begin], "weights")?))
            }
            (_, part) => part.duplicate(),
        }
    }

    /// A copy of its own.
    pub fn duplicate(&self) -> Result<Self> {
        let parts = self.0.iter().map(|(begin, part)| Ok((*begin, part.duplicate()?)));
        parts.collect::<Result<_>>().map(Self)
    }

    /// A matrix that has a name of its own, or part of what is whole.
    pub fn matrix(&self, place: &Range<usize>) -> Matrix<'_, F> {
        if place.is_empty() {
            return Matrix::Whole(&[]);
        }
        let (begin, part) = self.at(place);
        match part {
            Part::Whole(numbers) => Matrix::Whole(&numbers[place.start - begin..place.end - begin]),
            _ => part.matrix(),
        }
    }

    /// Numbers that are never narrow: biases.
    pub fn numbers(&self, place: &Range<usize>) -> &[F] {
        match self.matrix(place) {
            Matrix::Whole(numbers) => numbers,
            _ => unreachable!("a matrix at {place:?}, not numbers"),
        }
    }

    fn at(&self, place: &Range<usize>) -> (usize, &Part<F>) {
        let (begin, part) = &self.0[self.0.partition_point(|(begin, _)| *begin <= place.start) - 1];
        (*begin, part)
    }

    /// A copy of those in a place that begins and ends with parameters.
    pub fn slice(&self, place: &Range<usize>) -> Result<Self> {
        let ends = self.0.iter().map(|(begin, part)| (*begin).max(place.start)..(begin + part.len()).min(place.end));
        Self::of(ends.filter(|place| !place.is_empty()).map(|place| self.part(&place)).collect::<Result<_>>()?)
    }

    /// The numbers that they stand for, end to end.
    pub fn widened(&self) -> Result<Vec<F>> {
        let mut flat = zeros(self.len(), "weights")?;
        for (begin, part) in &self.0 {
            let to = &mut flat[*begin..begin + part.len()];
            let columns = match part {
                Part::Int8 { numbers, scales } => numbers.len() / scales.len().max(1),
                _ => part.len(),
            };
            for (row, to) in to.chunks_mut(columns.max(1)).enumerate() {
                part.matrix().rows(row, columns).each(columns, |i, number| to[i] = number);
            }
        }
        Ok(flat)
    }
}
