//! The product of rows and a matrix of bytes. Each row is rounded to bytes by a scale of its own, the products of bytes
//! are added exactly in 32 bits, and the sum is scaled once:
//!
//! ```text
//! s = max |x| / 127, q = round (x / s)        y = b + s_x s_w Σ q_x q_w
//! ```
//!
//! A row that is not finite has a scale that is not a number, and so has all that comes of it.

use super::product::{Bias, Outputs, Rows};
use crate::buffer::{Aligned, zeros};
use crate::error::Result;
use crate::float::Float;
use crate::narrow::{DEEPEST, LARGEST};
use crate::simd::{Bytes, BytesIsa, BytesKernel, Dispatch, Isa, Kernel, Simd};
use std::ops::Range;

/// Vectors of sums that are read side by side.
const GROUP: usize = 4;
/// Bytes of a sum that are multiplied at once.
const FOUR: usize = 4;
/// Rows whose sums wait to be scaled.
pub const ROWS: usize = 16;

/// A matrix of bytes for products: columns in groups of [`GROUP`] vectors, for each four of the depth the group's columns
/// side by side, four bytes each.
#[derive(Debug)]
pub struct PackedBytes<F> {
    isa: BytesIsa,
    data: Aligned<i8>,
    /// What each column's sum is multiplied by, and where it begins.
    scales: Aligned<F>,
    starts: Vec<i32>,
    depth: usize,
    /// Columns that mean something.
    used: usize,
}

impl<F: Float> PackedBytes<F> {
    /// For sums of `depth` products; column c's bytes and scale are found by `column`, none for one that nobody reads.
    pub fn new<'w>(
        isa: BytesIsa, depth: usize, columns: usize, column: impl Fn(usize) -> Option<(&'w [i8], F)>,
    ) -> Result<Self> {
        debug_assert!(depth <= DEEPEST, "{depth} bytes in a row");
        let wide = GROUP * isa.lanes();
        let padded = columns.next_multiple_of(wide);
        let deep = depth.next_multiple_of(FOUR);
        let mut data: Aligned<i8> = Aligned::zeros(deep * padded, "packed weights")?;
        let mut scales = Aligned::zeros(padded, "packed weights")?;
        let mut starts = zeros(padded, "packed weights")?;
        for c in 0..columns {
            let Some((bytes, scale)) = column(c) else { continue };
            let at = c / wide * deep * wide + c % wide * FOUR;
            for (k, &byte) in bytes[..depth].iter().enumerate() {
                data[at + k / FOUR * wide * FOUR + k % FOUR] = byte;
            }
            scales[c] = scale;
            starts[c] = -128 * bytes[..depth].iter().map(|&byte| i32::from(byte)).sum::<i32>();
        }
        Ok(Self { isa, data, scales, starts, depth, used: columns })
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
        grow(&mut self.bytes, rows * w.depth.next_multiple_of(FOUR))?;
        grow(&mut self.scales, rows)?;
        grow(&mut self.sums, rows.min(ROWS) * w.columns())
    }

    /// C = B + A W, or C + A W. There must be room.
    pub fn multiply(&mut self, isa: Isa, a: Rows<'_, F>, rows: usize, w: &PackedBytes<F>, mut c: BytesOutput<'_, F>) {
        self.round(isa, a, rows, w);
        for first in (0..rows).step_by(ROWS) {
            let some = first..rows.min(first + ROWS);
            self.sum(some.clone(), w, c.backwards);
            self.scale(isa, some, w, &mut c);
        }
    }

    /// The sums of up to [`ROWS`] rows, for [`Self::add`] to scale.
    pub fn sum_ahead(&mut self, isa: Isa, a: Rows<'_, F>, rows: usize, w: &PackedBytes<F>, backwards: bool) {
        self.round(isa, a, rows, w);
        self.sum(0..rows, w, backwards);
    }

    /// What [`Self::multiply`] does, of sums that are there.
    pub fn add(&mut self, isa: Isa, rows: usize, w: &PackedBytes<F>, mut c: BytesOutput<'_, F>) {
        self.scale(isa, 0..rows, w, &mut c);
    }

    fn round(&mut self, isa: Isa, a: Rows<'_, F>, rows: usize, w: &PackedBytes<F>) {
        let row = w.depth.next_multiple_of(FOUR);
        let (bytes, scales) = (&mut self.bytes[..rows * row], &mut self.scales[..rows]);
        F::dispatch(isa, ToBytes { a, depth: w.depth, row, bytes, scales });
    }

    fn sum(&mut self, rows: Range<usize>, w: &PackedBytes<F>, backwards: bool) {
        let row = w.depth.next_multiple_of(FOUR);
        let (a, sums) = (&self.bytes[rows.start * row..], &mut self.sums[..rows.len() * w.columns()]);
        w.isa.dispatch(Sums { a, rows: rows.len(), row, w: &w.data, starts: &w.starts, sums, backwards });
    }

    fn scale(&mut self, isa: Isa, rows: Range<usize>, w: &PackedBytes<F>, c: &mut BytesOutput<'_, F>) {
        let BytesOutput { c: Outputs { data, row, panel }, bias, panels, .. } = c;
        let (scales, wide) = (&w.scales[..], w.used / (*panels).max(1));
        for (i, sums) in rows.zip(self.sums.chunks_exact(w.columns().max(1))) {
            let (out, scale) = (&mut data[i * *row..], self.scales[i]);
            let (panel, bias, panels) = (*panel, *bias, *panels);
            F::dispatch(isa, Scale { sums, scale, scales, out, panel, wide, bias, panels });
        }
    }
}

/// Where results lie, and what they begin with.
#[derive(Debug)]
pub struct BytesOutput<'a, F> {
    /// Row by row, panel by panel.
    pub c: Outputs<'a, F>,
    /// What the results begin with.
    pub bias: Bias<'a, F>,
    /// Panels, all that the matrix has.
    pub panels: usize,
    /// Last group of columns first: a walk to and fro finds the last ones still in cache.
    pub backwards: bool,
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
    /// From one row of bytes to the next: whole fours, the last of which ends with zeros.
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

/// Rows of bytes times a packed matrix.
struct Sums<'a> {
    a: &'a [i8],
    rows: usize,
    row: usize,
    w: &'a [i8],
    starts: &'a [i32],
    sums: &'a mut [i32],
    backwards: bool,
}

impl BytesKernel for Sums<'_> {
    #[inline(always)]
    fn run<B: Bytes>(mut self, b: B) {
        let groups = self.starts.len() / (GROUP * B::LANES);
        // One row takes two groups at a time, to have sums enough under way.
        let at_once = if self.rows == 1 { 2 } else { 1 };
        let turns = groups.div_ceil(at_once);
        for turn in 0..turns {
            let group = at_once * if self.backwards { turns - 1 - turn } else { turn };
            if self.rows == 1 && group + 1 < groups {
                self.tile::<B, 1, 2>(b, 0, group);
                continue;
            }
            let mut row = 0;
            while row < self.rows {
                row += match self.rows - row {
                    4.. if B::ROWS >= 4 => self.tile::<B, 4, 1>(b, row, group),
                    2.. => self.tile::<B, 2, 1>(b, row, group),
                    _ => self.tile::<B, 1, 1>(b, row, group),
                };
            }
        }
    }
}

impl Sums<'_> {
    /// M rows by G groups; gives back M.
    #[inline(always)]
    fn tile<B: Bytes, const M: usize, const G: usize>(&mut self, b: B, first: usize, group: usize) -> usize {
        let (wide, fours) = (GROUP * B::LANES, self.row / FOUR);
        let mut total = [[[b.begin(self.starts); GROUP]; G]; M];
        let mut w: [&[i8]; G] = [&[]; G];
        for g in 0..G {
            for v in 0..GROUP {
                let start = b.begin(&self.starts[(group + g) * wide + v * B::LANES..]);
                for i in 0..M {
                    total[i][g][v] = start;
                }
            }
            w[g] = &self.w[(group + g) * fours * wide * FOUR..][..fours * wide * FOUR];
        }
        let mut x: [&[[i8; FOUR]]; M] = [&[]; M];
        for i in 0..M {
            x[i] = &self.a[(first + i) * self.row..][..self.row].as_chunks().0[..fours];
        }
        for k in 0..fours {
            let mut four = [b.four([0; FOUR]); M];
            for i in 0..M {
                four[i] = b.four(x[i][k]);
            }
            for g in 0..G {
                let w = &w[g][k * wide * FOUR..][..wide * FOUR];
                for v in 0..GROUP {
                    for i in 0..M {
                        total[i][g][v] = b.dot(total[i][g][v], four[i], &w[v * B::LANES * FOUR..]);
                    }
                }
            }
        }
        for i in 0..M {
            for g in 0..G {
                let to = &mut self.sums[(first + i) * self.starts.len() + (group + g) * wide..][..wide];
                for v in 0..GROUP {
                    b.store(total[i][g][v], &mut to[v * B::LANES..]);
                }
            }
        }
        M
    }
}
