//! A network's parameters end to end, and their names. It must not know which networks there are.

use super::tensor::{Matrix, Tensor, can_be_quantized};
use super::width::Width;
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::float::Float;
use std::ops::Range;

/// The parameters' names, their place in a flat buffer and their shapes, in order.
pub type Names = [(String, Range<usize>, Vec<usize>)];

/// A network's parameters end to end: one tensor of floats as long as they are learnt; when they are quantized, a tensor
/// for each matrix and one for what lies between.
#[derive(Debug)]
pub struct Store<F>(Vec<(usize, Tensor<F>)>);

impl<F: Float> Store<F> {
    /// To be learnt.
    pub fn of_floats(flat: Vec<F>) -> Self {
        Self(vec![(0, Tensor::Float(flat))])
    }

    /// The parameters of these names and shapes, a tensor each: to be learnt if all are floats.
    pub fn of_names(names: &Names, tensors: Vec<Tensor<F>>) -> Result<Self> {
        if tensors.len() != names.len() {
            return Err(Error::value("tensors", format!("one for each of {} names", names.len()), tensors.len()));
        }
        for ((name, place, shape), tensor) in names.iter().zip(&tensors) {
            tensor.check(name, place.len(), shape)?;
        }
        let mut matrices = names.iter().zip(&tensors).filter(|((name, _, shape), _)| can_be_quantized(name, shape));
        if let Some((_, first)) = matrices.next()
            && let Some(((name, ..), other)) = matrices.find(|(_, tensor)| tensor.width() != first.width())
        {
            return Err(Error::value(name, first.name(), other.name()));
        }
        Self::end_to_end(tensors)
    }

    /// Tensors in order, neighbouring floats in one.
    fn end_to_end(tensors: Vec<Tensor<F>>) -> Result<Self> {
        let (mut own, mut begin): (Vec<(usize, Tensor<F>)>, usize) = (Vec::new(), 0);
        for tensor in tensors {
            let len = tensor.len();
            match (own.last_mut(), tensor) {
                (Some((_, Tensor::Float(before))), Tensor::Float(numbers)) => {
                    let refused = |_| Error::Memory { what: "weights", bytes: size_of_val(&numbers[..]) };
                    before.try_reserve(len).map_err(refused)?;
                    before.extend_from_slice(&numbers);
                }
                (_, tensor) => own.push((begin, tensor)),
            }
            begin += len;
        }
        Ok(Self(own))
    }

    /// The same with quantized matrices.
    pub fn quantized(&self, names: &Names, width: Width) -> Result<Self> {
        let tensors =
            names.iter().map(|(name, place, shape)| match (self.matrix(place), can_be_quantized(name, shape)) {
                (Matrix::Float(w), true) => Tensor::quantized(w, shape[1], width, name),
                (Matrix::Float(w), false) => Ok(Tensor::Float(copied(w, "quantized weights")?)),
                (Matrix::Int8(..) | Matrix::Float16(_) | Matrix::Bfloat16(_), _) => Err(self.refusal()),
            });
        Self::end_to_end(tensors.collect::<Result<_>>()?)
    }

    /// All of them, if they can be learnt.
    pub fn flat(&self) -> Result<&[F]> {
        match &self.0[..] {
            [(0, Tensor::Float(flat))] => Ok(flat),
            _ => Err(self.refusal()),
        }
    }

    /// The same, to be written.
    pub fn flat_mut(&mut self) -> Result<&mut [F]> {
        let refusal = self.refusal();
        match &mut self.0[..] {
            [(0, Tensor::Float(flat))] => Ok(flat),
            _ => Err(refusal),
        }
    }

    fn refusal(&self) -> Error {
        let kept = self.width().map_or(F::NAME, Width::name);
        Error::state(format!(
            "{kept} weights do not learn, and are quantized already: train, write or quantize those they were made of"
        ))
    }

    /// All numbers.
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |(begin, tensor)| begin + tensor.len())
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, tensor)| tensor.bytes()).sum()
    }

    /// What matrices are kept in; none for floats.
    pub fn width(&self) -> Option<Width> {
        self.0.iter().find_map(|(_, tensor)| tensor.width())
    }

    /// A copy of the tensors, one for each name.
    pub fn tensors(&self, names: &Names) -> Result<Vec<Tensor<F>>> {
        let tensor = |place: &Range<usize>| match self.at(place) {
            (begin, Tensor::Float(numbers)) => {
                Ok(Tensor::Float(copied(&numbers[place.start - begin..place.end - begin], "weights")?))
            }
            (_, tensor) => tensor.duplicate(),
        };
        names.iter().map(|(_, place, _)| tensor(place)).collect()
    }

    /// A matrix that has a name of its own, or a range of the floats.
    pub fn matrix(&self, place: &Range<usize>) -> Matrix<'_, F> {
        if place.is_empty() {
            return Matrix::Float(&[]);
        }
        match self.at(place) {
            (begin, Tensor::Float(numbers)) => Matrix::Float(&numbers[place.start - begin..place.end - begin]),
            (_, tensor) => tensor.matrix(),
        }
    }

    /// Numbers that are never quantized: biases.
    pub fn numbers(&self, place: &Range<usize>) -> &[F] {
        match self.matrix(place) {
            Matrix::Float(numbers) => numbers,
            _ => unreachable!("a matrix at {place:?}, not numbers"),
        }
    }

    fn at(&self, place: &Range<usize>) -> (usize, &Tensor<F>) {
        let (begin, tensor) = &self.0[self.0.partition_point(|(begin, _)| *begin <= place.start) - 1];
        (*begin, tensor)
    }

    /// The numbers that they stand for, end to end.
    pub fn dequantized(&self) -> Result<Vec<F>> {
        let mut flat = zeros(self.len(), "weights")?;
        for (begin, tensor) in &self.0 {
            let to = &mut flat[*begin..begin + tensor.len()];
            let columns = match tensor {
                Tensor::Int8 { numbers, scales } => numbers.len() / scales.len().max(1),
                Tensor::Float(_) | Tensor::Float16(_) | Tensor::Bfloat16(_) => tensor.len(),
            };
            for (row, to) in to.chunks_mut(columns.max(1)).enumerate() {
                tensor.matrix().rows(row, columns).each(columns, |i, number| to[i] = number);
            }
        }
        Ok(flat)
    }
}
