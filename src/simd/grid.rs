//! A few rows at constant strides, whose place is checked once instead of at each vector: a tile of sums has as many
//! vectors as a short product has terms. It must not know what the numbers are.

use super::Simd;
use crate::float::Float;
use std::marker::PhantomData;

/// M rows by P panels of W vectors within a slice: vector v of row i and panel p begins at `i * row + p * panel + v * lanes`.
pub struct Grid<'a, F, S, const M: usize, const P: usize, const W: usize> {
    data: *mut F,
    row: usize,
    panel: usize,
    simd: S,
    of: PhantomData<&'a mut [F]>,
}

impl<'a, F: Float, S: Simd<F>, const M: usize, const P: usize, const W: usize> Grid<'a, F, S, M, P, W> {
    /// From the beginning of the slice. Panics when it does not hold all of it.
    #[inline(always)]
    pub fn new(simd: S, data: &'a mut [F], row: usize, panel: usize) -> Self {
        const { assert!(M > 0 && P > 0) };
        let last = row.checked_mul(M - 1).zip(panel.checked_mul(P - 1)).and_then(|(row, panel)| row.checked_add(panel));
        let end = last.and_then(|last| last.checked_add(W * S::LANES));
        assert!(end.is_some_and(|end| end <= data.len()), "a tile within the outputs");
        Self { data: data.as_mut_ptr(), row, panel, simd, of: PhantomData }
    }

    /// Where a vector begins. Panics when there is none.
    #[inline(always)]
    fn at(&self, i: usize, p: usize, v: usize) -> usize {
        assert!(i < M && p < P && v < W, "a vector of the tile");
        i * self.row + p * self.panel + v * S::LANES
    }

    /// One vector.
    #[inline(always)]
    pub fn load(&self, i: usize, p: usize, v: usize) -> S::V {
        // SAFETY: `new` has seen that the last row's last vector ends within the slice, and `at` goes no further.
        let begin = unsafe { self.data.add(self.at(i, p, v)) };
        // SAFETY: as above; the slice is borrowed for as long as this lives, and nothing else of it is in use.
        self.simd.load(unsafe { std::slice::from_raw_parts(begin, S::LANES) })
    }

    /// Writes one vector.
    #[inline(always)]
    pub fn store(&mut self, i: usize, p: usize, v: usize, vector: S::V) {
        // SAFETY: as in `load`.
        let begin = unsafe { self.data.add(self.at(i, p, v)) };
        // SAFETY: as in `load`; what is written is borrowed for writing.
        self.simd.store(vector, unsafe { std::slice::from_raw_parts_mut(begin, S::LANES) });
    }
}

/// M rows of `len` numbers, each `stride` behind the one before. Panics when the slice does not hold all of them.
#[inline(always)]
pub fn rows_at<F, const M: usize>(data: &[F], stride: usize, len: usize) -> [&[F]; M] {
    let end = stride.checked_mul(M - 1).and_then(|last| last.checked_add(len));
    assert!(end.is_some_and(|end| end <= data.len()), "the rows of a tile");
    let mut rows: [&[F]; M] = [&[]; M];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the last row ends within the slice, and this one begins no later.
        let begin = unsafe { data.as_ptr().add(i * stride) };
        // SAFETY: as above.
        *row = unsafe { std::slice::from_raw_parts(begin, len) };
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Dispatch, Isa, Kernel};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Writes each vector's own number by a grid, and reads it by plain indices, and the other way round.
    struct Numbered<'a> {
        data: &'a mut Vec<f32>,
        row: usize,
        panel: usize,
    }

    impl Kernel<f32> for Numbered<'_> {
        type Out = ();

        #[inline(always)]
        fn run<S: Simd<f32>>(self, s: S) {
            let Self { data, row, panel } = self;
            let places = || (0..12).map(|n| (n / 4, n / 2 % 2, n % 2));
            let mut grid = Grid::<f32, S, 3, 2, 2>::new(s, data, row, panel);
            for (n, (i, p, v)) in places().enumerate() {
                grid.store(i, p, v, s.splat(n as f32));
            }
            for (n, (i, p, v)) in places().enumerate() {
                let begin = i * row + p * panel + v * S::LANES;
                assert_eq!(data[begin..begin + S::LANES], vec![n as f32; S::LANES]);
                data[begin..begin + S::LANES].fill(-(n as f32));
            }
            let grid = Grid::<f32, S, 3, 2, 2>::new(s, data, row, panel);
            for (n, (i, p, v)) in places().enumerate() {
                let mut vector = vec![0.0; S::LANES];
                s.store(grid.load(i, p, v), &mut vector);
                assert_eq!(vector, vec![-(n as f32); S::LANES]);
            }
        }
    }

    #[test]
    fn a_grid_is_where_indices_say() {
        for isa in Isa::available() {
            let wide = 2 * f32::lanes(isa);
            // Row by row, panel by panel, and with room between them.
            for (row, panel) in [(2 * wide, wide), (wide, 3 * wide), (2 * wide + 7, wide + 3)] {
                let whole = 2 * row + panel + wide;
                f32::dispatch(isa, Numbered { data: &mut vec![f32::NAN; whole], row, panel });
                let mut short = vec![0.0; whole - 1];
                let work = || f32::dispatch(isa, Numbered { data: &mut short, row, panel });
                assert!(catch_unwind(AssertUnwindSafe(work)).is_err(), "{}", isa.name());
            }
            for (row, panel) in [(usize::MAX / 2 + 1, 0), (0, usize::MAX), (usize::MAX / 2, usize::MAX / 2)] {
                let work = || f32::dispatch(isa, Numbered { data: &mut vec![0.0; 4 * wide], row, panel });
                assert!(catch_unwind(AssertUnwindSafe(work)).is_err(), "{}", isa.name());
            }
        }
    }

    #[test]
    fn rows_are_where_indices_say() {
        let data: Vec<usize> = (0..100).collect();
        for (stride, len) in [(30, 40), (0, 100), (48, 4), (50, 0)] {
            let rows: [&[usize]; 3] = rows_at(&data, stride, len);
            for (i, row) in rows.iter().enumerate() {
                assert_eq!(*row, &data[i * stride..i * stride + len]);
            }
        }
        for (stride, len) in [(30, 41), (51, 0), (usize::MAX / 2 + 1, 1), (1, usize::MAX)] {
            assert!(catch_unwind(|| rows_at::<usize, 3>(&data, stride, len)).is_err());
        }
    }
}
