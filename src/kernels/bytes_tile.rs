//! The seam below products of bytes: what [`super::tile`] is for floats. How a tile wants the bytes of a matrix packed, and
//! how it sums a few rows' products with them. An instruction set may bring a tile of its own, chosen in
//! [`BytesTileKind::of`] and nowhere else. The sums are exact integers, so that none changes a bit. It must not know scales.

use crate::simd::{Bytes, BytesIsa, BytesKernel};

/// A tile of sums of bytes, as functions of its shape. A matrix lies group by group of `wide` columns.
pub trait BytesTile {
    /// Its value.
    const KIND: BytesTileKind;

    /// Columns of a group.
    fn wide(lanes: usize) -> usize;
    /// Bytes of a row and of a column, of which `depth` are not 0.
    fn deep(depth: usize) -> usize;
    /// Puts a column, without what fills it up, into its group of zeros, of which it is column number `at`.
    fn put_column(column: &[i8], at: usize, wide: usize, group: &mut [i8]);
    /// All sums.
    fn sum<B: Bytes>(b: B, of: Sums<'_>);
}

/// The tiles there are, as values: a packed matrix remembers the one it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesTileKind {
    /// [`Fours`]
    Fours,
    /// Another one, so that tests can see that nothing above depends on the first.
    #[cfg(test)]
    OfTests,
}

macro_rules! with_tile {
    ($kind:expr, $tile:ident => $result:expr) => {
        match $kind {
            BytesTileKind::Fours => {
                type $tile = Fours;
                $result
            }
            #[cfg(test)]
            BytesTileKind::OfTests => {
                type $tile = super::tests::BytesOfTests;
                $result
            }
        }
    };
}

impl BytesTileKind {
    /// The one place that chooses.
    pub fn of(isa: BytesIsa) -> Self {
        #[cfg(test)]
        if let Some(kind) = super::tests::chosen_for_bytes(isa) {
            return kind;
        }
        let _all_so_far = isa;
        Self::Fours
    }

    /// [`BytesTile::wide`]
    pub fn wide(self, lanes: usize) -> usize {
        with_tile!(self, T => T::wide(lanes))
    }

    /// [`BytesTile::deep`]
    pub fn deep(self, depth: usize) -> usize {
        with_tile!(self, T => T::deep(depth))
    }

    /// [`BytesTile::put_column`]
    pub fn put_column(self, column: &[i8], at: usize, wide: usize, group: &mut [i8]) {
        with_tile!(self, T => T::put_column(column, at, wide, group));
    }
}

/// A packed matrix of bytes.
#[derive(Clone, Copy, Debug)]
pub struct BytesPanels<'a> {
    /// The bytes, group by group.
    pub data: &'a [i8],
    /// Where each column's sums begin; see [`Bytes::begin`].
    pub starts: &'a [i32],
    /// Bytes of a column.
    pub deep: usize,
    /// The tile it is for.
    pub kind: BytesTileKind,
    /// Sums in a vector.
    pub lanes: usize,
}

/// Rows of bytes times a packed matrix.
#[derive(Debug)]
pub struct Sums<'a> {
    /// Rows, as many bytes each as a column has.
    pub a: &'a [i8],
    /// How many.
    pub rows: usize,
    /// The matrix.
    pub w: BytesPanels<'a>,
    /// Written, row by row.
    pub sums: &'a mut [i32],
    /// Last group first.
    pub backwards: bool,
}

impl BytesKernel for Sums<'_> {
    #[inline(always)]
    fn run<B: Bytes>(self, b: B) {
        with_tile!(self.w.kind, T => self.by::<B, T>(b));
    }
}

impl Sums<'_> {
    /// By that tile and no other. Panics when the matrix is packed for another one, or for other vectors.
    #[inline(always)]
    pub fn by<B: Bytes, T: BytesTile>(self, b: B) {
        assert!(self.w.kind == T::KIND && self.w.lanes == B::LANES, "W is packed for another tile");
        T::sum(b, self);
    }
}

/// Vectors of sums that are read side by side.
const GROUP: usize = 4;
/// Bytes of a sum that are multiplied at once.
const FOUR: usize = 4;

/// Groups of [`GROUP`] vectors of columns, for each four of the depth the group's columns side by side, four bytes each.
#[derive(Clone, Copy, Debug)]
pub struct Fours;

impl BytesTile for Fours {
    const KIND: BytesTileKind = BytesTileKind::Fours;

    fn wide(lanes: usize) -> usize {
        GROUP * lanes
    }

    fn deep(depth: usize) -> usize {
        depth.next_multiple_of(FOUR)
    }

    fn put_column(column: &[i8], at: usize, wide: usize, group: &mut [i8]) {
        for (k, &byte) in column.iter().enumerate() {
            group[(k / FOUR * wide + at) * FOUR + k % FOUR] = byte;
        }
    }

    #[inline(always)]
    fn sum<B: Bytes>(b: B, mut sums: Sums<'_>) {
        let groups = sums.w.starts.len() / (GROUP * B::LANES);
        // One row takes two groups at a time, to have sums enough under way.
        let at_once = if sums.rows == 1 { 2 } else { 1 };
        let turns = groups.div_ceil(at_once);
        for turn in 0..turns {
            let group = at_once * if sums.backwards { turns - 1 - turn } else { turn };
            if sums.rows == 1 && group + 1 < groups {
                tile::<B, 1, 2>(b, &mut sums, 0, group);
                continue;
            }
            let mut row = 0;
            while row < sums.rows {
                row += match sums.rows - row {
                    4.. if B::ROWS >= 4 => tile::<B, 4, 1>(b, &mut sums, row, group),
                    2.. => tile::<B, 2, 1>(b, &mut sums, row, group),
                    _ => tile::<B, 1, 1>(b, &mut sums, row, group),
                };
            }
        }
    }
}

/// M rows by G groups; gives back M.
#[inline(always)]
fn tile<B: Bytes, const M: usize, const G: usize>(b: B, of: &mut Sums<'_>, first: usize, group: usize) -> usize {
    let (wide, fours) = (GROUP * B::LANES, of.w.deep / FOUR);
    let mut total = [[[b.begin(of.w.starts); GROUP]; G]; M];
    let mut w: [&[i8]; G] = [&[]; G];
    for g in 0..G {
        for v in 0..GROUP {
            let start = b.begin(&of.w.starts[(group + g) * wide + v * B::LANES..]);
            for i in 0..M {
                total[i][g][v] = start;
            }
        }
        w[g] = &of.w.data[(group + g) * fours * wide * FOUR..][..fours * wide * FOUR];
    }
    let mut x: [&[[i8; FOUR]]; M] = [&[]; M];
    for i in 0..M {
        x[i] = &of.a[(first + i) * of.w.deep..][..of.w.deep].as_chunks().0[..fours];
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
            let to = &mut of.sums[(first + i) * of.w.starts.len() + (group + g) * wide..][..wide];
            for v in 0..GROUP {
                b.store(total[i][g][v], &mut to[v * B::LANES..]);
            }
        }
    }
    M
}
