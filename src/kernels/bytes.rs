//! The product of rows and a matrix of bytes. Each row is rounded to bytes by a scale of its own, the products of bytes
//! are added exactly in 32 bits, and the sum is scaled once:
//!
//! ```text
//! s = max |x| / 127, q = round (x / s)        y = b + s_x s_w Σ q_x q_w
//! ```
//!
//! A row that is not finite has a scale that is not a number, and so has all that comes of it. How the bytes are packed and
//! their sums made is known to [`super::bytes_tile`] and not here.

use super::bytes_tile::{BytesPanels, BytesTileKind, Sums};
use super::product::{Affine, Bias, Rows};
use crate::buffer::{Aligned, zeros};
use crate::error::Result;
use crate::float::Float;
use crate::simd::{BytesIsa, Dispatch, Isa, Kernel, Simd};
use crate::weights::{DEEPEST, LARGEST};
use std::ops::Range;

/// Rows whose sums wait to be scaled.
pub const ROWS: usize = 16;

/// A matrix of bytes for products.
#[derive(Debug)]
pub struct PackedBytes<F> {
    isa: BytesIsa,
    kind: BytesTileKind,
    data: Aligned<i8>,
    /// What each column's sum is multiplied by, and where it begins.
    scales: Aligned<F>,
    starts: Vec<i32>,
    depth: usize,
    /// Bytes of a row and of a column, with what fills them up.
    deep: usize,
    /// Columns that mean something.
    used: usize,
}

impl<F: Float> PackedBytes<F> {
    /// For sums of `depth` products; column c's bytes and scale are found by `column`, none for one that nobody reads.
    pub fn new<'w>(
        isa: BytesIsa, depth: usize, columns: usize, column: impl Fn(usize) -> Option<(&'w [i8], F)>,
    ) -> Result<Self> {
        debug_assert!(depth <= DEEPEST, "{depth} bytes in a row");
        let kind = BytesTileKind::of(isa);
        let (wide, deep) = (kind.wide(isa.lanes()), kind.deep(depth));
        let padded = columns.next_multiple_of(wide);
        let mut data: Aligned<i8> = Aligned::zeros(deep * padded, "packed weights")?;
        let mut scales = Aligned::zeros(padded, "packed weights")?;
        let mut starts = zeros(padded, "packed weights")?;
        for c in 0..columns {
            let Some((bytes, scale)) = column(c) else { continue };
            kind.put_column(&bytes[..depth], c % wide, wide, &mut data[c / wide * deep * wide..]);
            scales[c] = scale;
            starts[c] = -128 * bytes[..depth].iter().map(|&byte| i32::from(byte)).sum::<i32>();
        }
        Ok(Self { isa, kind, data, scales, starts, depth, deep, used: columns })
    }

    fn columns(&self) -> usize {
        self.starts.len()
    }
}

/// Memory for rows as bytes, and for their sums.
#[derive(Debug, Default)]
pub struct BytesScratch<F> {
    bytes: Vec<i8>,
    scales: Vec<F>,
    sums: Vec<i32>,
}

impl<F: Dispatch> BytesScratch<F> {
    /// For products of up to `rows` rows with this matrix; what there is room for stays.
    pub fn make_room(&mut self, rows: usize, w: &PackedBytes<F>) -> Result<()> {
        fn grow<T: Copy + Default>(room: &mut Vec<T>, len: usize) -> Result<()> {
            if room.len() < len {
                *room = zeros(len, "scratch")?;
            }
            Ok(())
        }
        grow(&mut self.bytes, rows * w.deep)?;
        grow(&mut self.scales, rows)?;
        grow(&mut self.sums, rows.min(ROWS) * w.columns())
    }

    /// The product, of all panels that the matrix has. There must be room.
    pub fn multiply(&mut self, isa: Isa, mut of: Affine<'_, '_, F>, w: &PackedBytes<F>) {
        self.round(isa, of.x, of.rows, w);
        for first in (0..of.rows).step_by(ROWS) {
            let some = first..of.rows.min(first + ROWS);
            self.sum(some.clone(), w, of.backwards);
            self.scale(isa, some, w, &mut of);
        }
    }

    /// The sums of up to [`ROWS`] rows, for [`Self::add`] to scale.
    pub fn sum_ahead(&mut self, isa: Isa, a: Rows<'_, F>, rows: usize, w: &PackedBytes<F>, backwards: bool) {
        self.round(isa, a, rows, w);
        self.sum(0..rows, w, backwards);
    }

    /// What [`Self::multiply`] does, of sums that are there.
    pub fn add(&mut self, isa: Isa, mut of: Affine<'_, '_, F>, w: &PackedBytes<F>) {
        self.scale(isa, 0..of.rows, w, &mut of);
    }

    fn round(&mut self, isa: Isa, a: Rows<'_, F>, rows: usize, w: &PackedBytes<F>) {
        let (bytes, scales) = (&mut self.bytes[..rows * w.deep], &mut self.scales[..rows]);
        F::dispatch(isa, ToBytes { a, depth: w.depth, row: w.deep, bytes, scales });
    }

    fn sum(&mut self, rows: Range<usize>, w: &PackedBytes<F>, backwards: bool) {
        let (a, sums) = (&self.bytes[rows.start * w.deep..], &mut self.sums[..rows.len() * w.columns()]);
        let panels = BytesPanels { data: &w.data, starts: &w.starts, deep: w.deep, kind: w.kind, lanes: w.isa.lanes() };
        w.isa.dispatch(Sums { a, rows: rows.len(), w: panels, sums, backwards });
    }

    fn scale(&mut self, isa: Isa, rows: Range<usize>, w: &PackedBytes<F>, of: &mut Affine<'_, '_, F>) {
        let (panels, panel, bias) = (of.panels.len(), of.y.panel, of.bias);
        let (scales, wide) = (&w.scales[..], w.used / panels.max(1));
        for (i, sums) in rows.zip(self.sums.chunks_exact(w.columns().max(1))) {
            let (out, scale) = (&mut of.y.data[i * of.y.row..], self.scales[i]);
            F::dispatch(isa, Scale { sums, scale, scales, out, panel, wide, bias, panels });
        }
    }
}

/// One row's sums to numbers.
struct Scale<'a, F> {
    sums: &'a [i32],
    scale: F,
    scales: &'a [F],
    out: &'a mut [F],
    /// From one panel to the next, and numbers that are written of it.
    panel: usize,
    wide: usize,
    bias: Bias<'a, F>,
    panels: usize,
}

impl<F: Float> Kernel<F> for Scale<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) {
        let wide = self.wide;
        // What begins with a bias, vector by vector from some vector on.
        let fresh = self.bias.from.saturating_mul(S::LANES).min(wide);
        for p in 0..self.panels {
            let (sums, scales) = (&self.sums[p * wide..][..wide], &self.scales[p * wide..][..wide]);
            let out = &mut self.out[p * self.panel..][..wide];
            if fresh < wide {
                out[fresh..].copy_from_slice(&self.bias.data[p * self.bias.panel..][fresh..wide]);
            }
            for ((out, &sum), &scale) in out.iter_mut().zip(sums).zip(scales) {
                // Bounded, so that a sum of 0 stays 0; what is not a number stays so.
                let both = self.scale * scale;
                let both = if both > F::MAX { F::MAX } else { both };
                *out = F::from_i32(sum).mul_add(both, *out);
            }
        }
    }
}

/// Rows of numbers to rows of bytes and a scale for each.
struct ToBytes<'a, F> {
    a: Rows<'a, F>,
    depth: usize,
    /// From one row of bytes to the next: as many as its tile wants, the last of which are zeros.
    row: usize,
    bytes: &'a mut [i8],
    scales: &'a mut [F],
}

impl<F: Float> Kernel<F> for ToBytes<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let zero = s.splat(F::ZERO);
        for (i, (bytes, to)) in self.bytes.chunks_exact_mut(self.row.max(1)).zip(self.scales).enumerate() {
            let x = &self.a.row(i)[..self.depth];
            // 0 · x is 0, or not a number if x is not finite.
            let (mut most, mut finite) = (zero, zero);
            for x in x.chunks(S::LANES) {
                let x = s.load_first(x);
                most = s.max(most, s.max(x, s.sub(zero, x)));
                finite = s.mul_add(x, zero, finite);
            }
            let mut lanes = [F::ZERO; crate::simd::MAX_LANES];
            s.store(most, &mut lanes);
            let most = lanes[..S::LANES].iter().fold(F::ZERO, |a, &b| if b > a { b } else { a });
            s.store(finite, &mut lanes);
            let finite = lanes[..S::LANES].iter().fold(F::ZERO, |a, &b| a + b);
            let scale = most / F::from_f64(LARGEST);
            // Rows of less than 127 of the smallest normal number count as 0.
            let counts = scale >= F::MIN_NORMAL;
            let inverse = if counts { F::from_f64(LARGEST) / most } else { F::ZERO };
            *to = if counts { scale } else { F::ZERO } + finite;
            for (byte, &x) in bytes.iter_mut().zip(x) {
                *byte = (x * inverse + F::ROUND).low_byte();
            }
            bytes[self.depth..].fill(0);
        }
    }
}
