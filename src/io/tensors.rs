//! The tensors of a file as parameters of a model, floats or quantized, each copied once. Nothing is allocated that
//! the file does not have the bytes for. It must not know the header.

use super::checksum::Crc32;
use crate::bfloat16::Bfloat16;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::half::Half;
use crate::weights::{Names, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

/// The header's place: its length comes first.
const LENGTH: usize = 8;

/// What the names of tensors begin with that are for Python's training to go on from: no part of the model.
const TRAINING: &str = "training.";

/// A file in memory.
pub struct Tensors<'a> {
    metadata: Metadata,
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// Tensors that fill the file to its last byte.
    pub fn read(file: &'a [u8]) -> Result<Self> {
        let refuse = |got: String| Error::value("file", "a whole safetensors file", got);
        let split = file.split_first_chunk::<LENGTH>().and_then(|(length, rest)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        let (header, data) = split.ok_or_else(|| refuse(format!("{} bytes", file.len())))?;
        // Not by `SafeTensors::deserialize`, which adds the tensors' sizes to the header's and may overflow.
        let metadata: Metadata = serde_json::from_slice(header).map_err(|error| refuse(error.to_string()))?;
        if metadata.data_len() != data.len() {
            return Err(refuse(format!("{} bytes of tensors where there are {}", data.len(), metadata.data_len())));
        }
        Ok(Self { metadata, data })
    }

    /// A text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Compares the file with the sum it was saved with, and says whether it was saved with one: of a text and of each tensor in
    /// order of name, its name, type, shape and bytes. `_saved.py` has the same.
    pub fn expect_sum(&self, key: &str, text: &str) -> Result<bool> {
        let Some(given) = self.text(key) else { return Ok(false) };
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        let mut crc = Crc32::new();
        crc.add(text.as_bytes());
        for (name, info) in names.iter().filter_map(|name| Some((name, self.metadata.info(name)?))) {
            crc.add(format!("\n{name} {:?} {:?}\n", info.dtype, info.shape).as_bytes());
            crc.add(&self.data[info.data_offsets.0..info.data_offsets.1]);
        }
        let found = format!("crc32:{:08x}", crc.sum());
        if found == given {
            return Ok(true);
        }
        let expected = format!("the checksum {given:.40} that it was saved with");
        Err(Error::value("file", expected, format!("{found}: it is damaged")))
    }

    /// How many a model may have of them.
    pub fn len(&self) -> usize {
        self.of_model().count()
    }

    /// The names of all but those of training.
    fn of_model(&self) -> impl Iterator<Item = String> {
        self.metadata.offset_keys().into_iter().filter(|name| !name.starts_with(TRAINING))
    }

    /// The parameters of these names and shapes, which must be all that there is of a model.
    pub fn tensors<F: Float>(&self, names: &Names) -> Result<Vec<Tensor<F>>> {
        let mut found = Vec::with_capacity(2 * names.len());
        let tensors = names.iter().map(|(name, _, shape)| {
            found.push(name.clone());
            let (dtype, bytes) = self.tensor(name, shape)?;
            match (dtype, shape.len()) {
                (Dtype::I8, 2) => {
                    found.push(format!("{name}.scale"));
                    Ok(Tensor::Int8 {
                        numbers: copied(bytes, |[byte]| byte as i8)?,
                        scales: self.scales(name, shape[0])?,
                    })
                }
                (Dtype::F16, 2) => Ok(Tensor::Float16(copied(bytes, |bytes| Half(u16::from_le_bytes(bytes)))?)),
                (Dtype::BF16, 2) => Ok(Tensor::Bfloat16(copied(bytes, |bytes| Bfloat16(u16::from_le_bytes(bytes)))?)),
                _ => floats(name, dtype, bytes).map(Tensor::Float),
            }
        });
        let tensors = tensors.collect::<Result<_>>()?;
        match self.of_model().find(|name| !found.contains(name)) {
            Some(other) => Err(Error::value(other, "no tensor that the model does not have", "one")),
            None => Ok(tensors),
        }
    }

    fn tensor(&self, name: &str, expected: &[usize]) -> Result<(Dtype, &'a [u8])> {
        let refuse = |got: String| Error::value(name, format!("a tensor of shape {expected:?}"), got);
        let TensorInfo { dtype, shape, data_offsets: (begin, end) } =
            self.metadata.info(name).ok_or_else(|| refuse("none".into()))?;
        if shape != expected {
            return Err(refuse(format!("{shape:?}")));
        }
        Ok((*dtype, &self.data[*begin..*end]))
    }

    /// What a matrix's bytes are multiplied by, row by row.
    fn scales<F: Float>(&self, name: &str, rows: usize) -> Result<Vec<F>> {
        let name = format!("{name}.scale");
        let (dtype, bytes) = self.tensor(&name, &[rows])?;
        let scales: Vec<F> = floats(&name, dtype, bytes)?;
        match scales.iter().find(|scale| !scale.to_f64().is_finite()) {
            Some(scale) => Err(Error::value(name, "finite numbers", scale)),
            None => Ok(scales),
        }
    }
}

/// Numbers as they were learnt.
fn floats<F: Float>(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<F>> {
    match (dtype, F::NAME) {
        (Dtype::F32, "float32") => copied(bytes, |bytes| F::from_f64(f32::from_le_bytes(bytes).into())),
        (Dtype::F64, "float64") => copied(bytes, |bytes| F::from_f64(f64::from_le_bytes(bytes))),
        _ => {
            Err(Error::value(name, format!("numbers of {}, or a matrix of int8, float16 or bfloat16", F::NAME), dtype))
        }
    }
}

fn copied<T: Copy + Default, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let (all, _) = bytes.as_chunks();
    let mut numbers = zeros(all.len(), "weights")?;
    numbers.iter_mut().zip(all).for_each(|(to, &bytes)| *to = number(bytes));
    Ok(numbers)
}
