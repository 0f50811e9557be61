//! Tiles that differ from the real ones in everything that the seam leaves open, and what must not depend on it: bits.
//! They stand behind the same doors, so that whole layers can be run on them (`model/tiles.rs`). They must not be fast.

use super::bytes::{BytesScratch, PackedBytes};
use super::bytes_tile::{BytesPanels, BytesTile, BytesTileKind, Fours, Sums};
use super::outer::Columns;
use super::pack::{self, Operands, PackedMatrix};
use super::product::{Affine, At, BLOCK, Bias, Left, Outputs, Panels, Product, Rows, Sum, Weight};
use super::registers::{OneRow, Registers16, Registers32};
use super::tile::{Layout, Purpose, Strip, Tile, TileKind};
use crate::float::Float;
use crate::half::Half;
use crate::rng::Rng;
use crate::simd::{Bytes, BytesIsa, BytesKernel, Dispatch, Isa, Kernel, MAX_LANES, Simd};
use crate::weights::Matrix;
use std::cell::Cell;

thread_local!(static OF_TESTS: Cell<bool> = const { Cell::new(false) });

/// Whatever the work packs on this thread is packed for the tiles of tests.
pub fn with_tiles_of_tests<T>(work: impl FnOnce() -> T) -> T {
    OF_TESTS.set(true);
    let done = work();
    OF_TESTS.set(false);
    done
}

/// What [`TileKind::of`] is to choose here.
pub fn chosen(_: Isa, _: Purpose) -> Option<TileKind> {
    OF_TESTS.get().then_some(TileKind::OfTests)
}

/// What [`BytesTileKind::of`] is to choose here.
pub fn chosen_for_bytes(_: BytesIsa) -> Option<BytesTileKind> {
    OF_TESTS.get().then_some(BytesTileKind::OfTests)
}

/// Four rows by three panels, each as two k side by side, as a matrix unit's pairs are; left operands row by row.
pub struct OfTests;

impl Tile for OfTests {
    const KIND: TileKind = TileKind::OfTests;
    const DEPTH: usize = 48;
    const FEW: usize = 2;

    fn best_width(_: usize, _: usize) -> usize {
        3
    }
    fn tallest(_: usize) -> usize {
        4
    }
    fn panels_at_once(_: usize, _: usize) -> usize {
        3
    }
    fn deep(depth: usize) -> usize {
        depth.next_multiple_of(2)
    }
    fn put_row<N: Copy>(row: &[N], k: usize, depth: usize, wide: usize, panels: &mut [N]) {
        for (column, &number) in row.iter().enumerate() {
            let pair = (column / wide * Self::deep(depth) + k / 2 * 2) * wide + column % wide * 2;
            panels[pair + k % 2] = number;
        }
    }
    fn put_column<N: Copy>(column: &[N], at: usize, wide: usize, panel: &mut [N]) {
        for (k, &number) in column.iter().enumerate() {
            panel[(k / 2 * wide + at) * 2 + k % 2] = number;
        }
    }
    fn put_left<F: Float>(
        rows: &Rows<'_, F>, count: usize, (first, columns): (usize, usize), _: usize, tiles: &mut [F],
    ) {
        for column in 0..columns {
            for k in 0..count {
                tiles[column * count + k] = rows.row(k)[first + column];
            }
        }
    }

    fn strip<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>, of: Strip) {
        let (a, w, panels) = (product.a, product.w, product.panels.clone());
        let (sum, c) = (product.sum, &mut product.c);
        assert!(of.rows <= 4 && of.tiles > 0 && matches!(of.count, 1 | 3), "{of:?}");
        let (wide, deep) = (w.layout.wide(), Self::deep(w.depth));
        for row in of.first..of.first + of.rows * of.tiles {
            let x = |k: usize| match a {
                Left::Rows(rows) => rows.row(row)[k],
                Left::Tiles(tiles) => tiles.data[row * w.depth + k],
            };
            for (p, v) in (0..of.count).flat_map(|p| (0..w.layout.width).map(move |v| (p, v))) {
                let (panel, column) = (panels.start + of.panel + p, v * S::LANES);
                let out = &mut c.data[row * c.row + (of.panel + p) * c.panel + column..];
                let mut total = match sum {
                    Sum::Blocks => s.splat(F::ZERO),
                    Sum::Chain(bias) if of.depth.start == 0 && v >= bias.from => {
                        s.load(&bias.data[panel * bias.panel + column..])
                    }
                    Sum::Chain(_) => s.load(out),
                };
                for k in of.depth.clone() {
                    let mut numbers = [w.data[0]; MAX_LANES];
                    for lane in 0..S::LANES {
                        let pair = (panel * deep + k / 2 * 2) * wide + (column + lane) * 2;
                        numbers[lane] = w.data[pair + k % 2];
                    }
                    total = s.mul_add(s.splat(x(k)), N::load(s, &numbers), total);
                }
                if matches!(sum, Sum::Blocks) {
                    total = s.add(s.load(out), total);
                }
                s.store(total, out);
            }
        }
    }

    /// Panel by panel, in the order of panels, whatever the product says.
    fn few<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>) {
        assert!(product.rows <= Self::FEW);
        for panel in 0..product.panels.len() {
            for begin in (0..product.w.depth).step_by(BLOCK) {
                let depth = begin..product.w.depth.min(begin + BLOCK);
                let rows = product.rows;
                Self::strip(s, product, Strip { panel, count: 1, depth, first: 0, rows, tiles: 1 });
            }
        }
    }
}

/// One row by one vector, sixteen of the depth side by side.
pub struct BytesOfTests;

impl BytesTile for BytesOfTests {
    const KIND: BytesTileKind = BytesTileKind::OfTests;

    fn wide(lanes: usize) -> usize {
        3 * lanes
    }
    fn deep(depth: usize) -> usize {
        depth.next_multiple_of(16)
    }
    fn put_column(column: &[i8], at: usize, wide: usize, group: &mut [i8]) {
        for (k, &byte) in column.iter().enumerate() {
            group[(k / 16 * wide + at) * 16 + k % 16] = byte;
        }
    }
    fn sum<B: Bytes>(b: B, of: Sums<'_>) {
        let BytesPanels { data, starts, deep, .. } = of.w;
        let wide = Self::wide(B::LANES);
        for (x, sums) in of.a.chunks_exact(deep).zip(of.sums.chunks_exact_mut(starts.len())).take(of.rows) {
            for first in (0..starts.len()).step_by(B::LANES) {
                let mut total = b.begin(&starts[first..]);
                for k in (0..deep).step_by(4) {
                    let mut w = [0; 4 * MAX_LANES];
                    for (lane, w) in w.chunks_exact_mut(4).take(B::LANES).enumerate() {
                        let (group, at) = ((first + lane) / wide, (first + lane) % wide);
                        let from = group * wide * deep + (k / 16 * wide + at) * 16 + k % 16;
                        w.copy_from_slice(&data[from..from + 4]);
                    }
                    total = b.dot(total, b.four([x[k], x[k + 1], x[k + 2], x[k + 3]]), &w);
                }
                b.store(total, &mut sums[first..]);
            }
        }
    }
}

pub(super) fn numbers<F: Float>(count: usize, rng: &mut Rng) -> Vec<F> {
    (0..count).map(|_| F::from_f64(rng.symmetric())).collect()
}

pub(super) fn below(most: u64, rng: &mut Rng) -> usize {
    1 + (rng.next_u64() % most) as usize
}

pub(super) fn rows_of<F>(data: &[F], stride: usize) -> Rows<'_, F> {
    Rows { data, at: At::Stride { offset: 0, stride } }
}

/// What both tiles make of the same numbers, in f64, where no bit is lost.
fn same_bits<F: Float>(work: impl Fn() -> Vec<F>) {
    let [here, there] = [work(), with_tiles_of_tests(work)].map(|y| y.iter().map(|y| y.to_f64().to_bits()).collect());
    let (here, there): (Vec<u64>, Vec<u64>) = (here, there);
    assert_eq!(here, there);
}

/// Forward's products: chains over weights of each kind.
fn affine<F: Dispatch>(isa: Isa, rng: &mut Rng) {
    let (rows, depth, units, width) = (below(40, rng), below(300, rng), below(70, rng), below(4, rng));
    let (lanes, backwards) = (F::lanes(isa), rng.next_u64().is_multiple_of(2));
    let (x, w) = (numbers::<F>(rows * depth, rng), numbers::<F>(width * units * depth, rng));
    let panels = units.div_ceil(lanes);
    let bias = numbers::<F>(panels * width * lanes, rng);
    let from = [0, 1, usize::MAX][below(3, rng) - 1];
    let halves: Vec<Half> = w.iter().map(|w| Half::from_f64(w.to_f64())).collect();
    let bytes: Vec<i8> = w.iter().map(|w| (w.to_f64() * 127.0) as i8).collect();
    let scales = vec![F::ONE; width * units];
    for w in [Matrix::Float(&w), Matrix::Float16(&halves), Matrix::Int8(&bytes, &scales)] {
        same_bits(|| {
            let blocks: Vec<usize> = (0..width).map(|block| block * units).collect();
            let packed = pack::by_units(isa, w, &blocks, units, depth).unwrap();
            let mut scratch = Operands::default();
            packed.make_room(rows, &mut scratch).unwrap();
            let mut y = vec![F::ONE; rows * panels * width * lanes];
            let at_once = packed.panels_at_once(rows).min(panels);
            for first in (0..panels).step_by(at_once) {
                let some = first..panels.min(first + at_once);
                let (row, panel) = (panels * width * lanes, width * lanes);
                let y = Outputs { data: &mut y[first * panel..], row, panel };
                let bias = Bias { data: &bias, panel, from };
                let of = Affine { x: rows_of(&x, depth), rows, panels: some, backwards, bias, y };
                packed.multiply(isa, of, &mut scratch);
            }
            y
        });
    }
}

/// The columns that mean something of C += A W, from ones.
fn block_sums<F: Dispatch>(
    isa: Isa, a: Left<'_, F>, rows: usize, w: Panels<'_, F>, (columns, padded): (usize, usize),
) -> Vec<F> {
    let (panel, mut y) = (w.layout.wide(), vec![F::ONE; rows * padded]);
    let (panels, c) = (0..columns.div_ceil(panel), Outputs { data: &mut y[..], row: padded, panel });
    F::dispatch(isa, Product { a, rows, w, panels, backwards: false, sum: Sum::Blocks, c });
    y.chunks_exact(padded).flat_map(|row| row[..columns].to_vec()).collect()
}

/// Backward's: blocks, over rows as they lie and over both operands packed.
fn blocks<F: Dispatch>(isa: Isa, rng: &mut Rng) {
    let (rows, outputs, inputs) = (below(300, rng), below(30, rng), below(70, rng));
    let (d_y, x, w) =
        (numbers::<F>(rows * outputs, rng), numbers::<F>(rows * inputs, rng), numbers(outputs * inputs, rng));
    same_bits(|| {
        let packed = pack::by_columns(isa, &w, &[0], outputs, inputs).unwrap();
        let a = Left::Rows(rows_of(&d_y, outputs));
        block_sums(isa, a, rows, packed.panels(), (inputs, packed.padded()))
    });
    same_bits(|| {
        let columns = Columns::new::<F>(isa, inputs);
        let mut panels = vec![F::from_f64(f64::NAN); columns.right_len(rows)];
        let mut tiles = vec![F::from_f64(f64::NAN); columns.left_len(rows, outputs)];
        let w = columns.right(&rows_of(&x, inputs), rows, &mut panels);
        let a = columns.left(&rows_of(&d_y, outputs), rows, (0, outputs), &mut tiles);
        block_sums(isa, a, outputs, w, (inputs, columns.padded))
    });
}

#[test]
fn bits_do_not_depend_on_the_tile() {
    let mut rng = Rng::new(7);
    for isa in Isa::available() {
        for _ in 0..if cfg!(miri) { 2 } else { 60 } {
            affine::<f32>(isa, &mut rng);
            affine::<f64>(isa, &mut rng);
            blocks::<f32>(isa, &mut rng);
            blocks::<f64>(isa, &mut rng);
        }
    }
}

#[test]
fn sums_of_bytes_do_not_depend_on_the_tile() {
    let mut rng = Rng::new(8);
    for isa in BytesIsa::available() {
        for _ in 0..if cfg!(miri) { 2 } else { 60 } {
            let (rows, depth, columns) = (below(40, &mut rng), below(300, &mut rng), below(200, &mut rng));
            let w: Vec<i8> = (0..columns * depth).map(|_| (rng.symmetric() * 127.0) as i8).collect();
            let x = numbers::<f32>(rows * depth, &mut rng);
            same_bits(|| {
                let packed = PackedBytes::new(isa, depth, columns, |c| Some((&w[c * depth..], 1.0))).unwrap();
                let mut scratch = BytesScratch::default();
                scratch.make_room(rows, &packed).unwrap();
                let mut y = vec![0.5f32; rows * columns];
                let (to, backwards) = (Outputs { data: &mut y, row: columns, panel: columns }, rows % 2 == 1);
                let of = Affine { x: rows_of(&x, depth), rows, panels: 0..1, backwards, bias: Bias::NONE, y: to };
                scratch.multiply(Isa::chosen().unwrap(), of, &packed);
                y
            });
        }
    }
}

/// A product of ones by a tile of one's choice, with operands for others.
struct By<'a> {
    w: Panels<'a, f32>,
    a: Left<'a, f32>,
    tile: TileKind,
}

impl Kernel<f32> for By<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<f32>>(self, s: S) {
        let mut c = [0.0; 8 * 4 * MAX_LANES];
        let c = Outputs { data: &mut c, row: 4 * MAX_LANES, panel: MAX_LANES };
        let Self { w, a, tile } = self;
        let mut product = Product { a, rows: 8, w, panels: 0..1, backwards: false, sum: Sum::Blocks, c };
        match tile {
            TileKind::OneRow => product.by::<S, OneRow>(s),
            TileKind::Registers16 => product.by::<S, Registers16>(s),
            TileKind::Registers32 => product.by::<S, Registers32>(s),
            TileKind::OfTests => product.by::<S, OfTests>(s),
        }
    }
}

/// By `tile`, with W packed on `isa` as it is told, and A, if at all, in tiles for the other kind.
fn product_of(tile: TileKind, isa: Isa, (of_tests, left_of_tests): (bool, Option<bool>)) {
    let x = [1.0f32; 8 * 8];
    let columns = |of_tests: bool| {
        let new = || Columns::new::<f32>(isa, 8);
        if of_tests { with_tiles_of_tests(new) } else { new() }
    };
    let mut tiles = [0.0; 8 * 8];
    let a = match left_of_tests {
        None => Left::Rows(rows_of(&x, 8)),
        Some(of_tests) => columns(of_tests).left(&rows_of(&x, 8), 8, (0, 8), &mut tiles),
    };
    let mut panels = [0.0; 8 * 4 * MAX_LANES];
    let w = columns(of_tests).right(&rows_of(&x, 8), 8, &mut panels);
    f32::dispatch(Isa::chosen().unwrap(), By { w, a, tile });
}

/// The tile that this machine's instruction set has.
fn own_tile() -> TileKind {
    TileKind::of::<f32>(Isa::chosen().unwrap(), Purpose::Outer)
}

#[test]
fn what_is_packed_for_a_tile_is_multiplied_by_it() {
    let isa = Isa::chosen().unwrap();
    product_of(own_tile(), isa, (false, None));
    product_of(TileKind::OfTests, isa, (true, None));
    product_of(own_tile(), isa, (false, Some(false)));
    product_of(TileKind::OfTests, isa, (true, Some(true)));
}

#[test]
fn tiles_are_as_large_as_the_registers() {
    for isa in Isa::available() {
        let expected = match f32::registers(isa) {
            0 => TileKind::OneRow,
            16 => TileKind::Registers16,
            _ => TileKind::Registers32,
        };
        for purpose in [Purpose::Forward, Purpose::Backward, Purpose::Outer] {
            assert_eq!(TileKind::of::<f32>(isa, purpose), expected, "{}", isa.name());
            assert_eq!(TileKind::of::<f64>(isa, purpose), expected, "{}", isa.name());
        }
    }
    for other in [TileKind::OneRow, TileKind::Registers16, TileKind::Registers32] {
        if other != own_tile() {
            let refused = std::panic::catch_unwind(|| product_of(other, Isa::chosen().unwrap(), (false, None)));
            assert!(refused.is_err(), "{other:?}");
        }
    }
}

#[test]
#[should_panic(expected = "W is packed for another tile")]
fn no_panels_of_another_tile() {
    product_of(own_tile(), Isa::chosen().unwrap(), (true, None));
}

#[test]
#[should_panic(expected = "A is packed for another tile")]
fn no_tiles_of_another_tile() {
    product_of(own_tile(), Isa::chosen().unwrap(), (false, Some(true)));
}

#[test]
fn no_panels_of_other_vectors() {
    for isa in Isa::available().into_iter().filter(|isa| f32::lanes(*isa) != f32::lanes(Isa::chosen().unwrap())) {
        let refused = std::panic::catch_unwind(|| product_of(own_tile(), isa, (false, None)));
        assert!(refused.is_err(), "{}", isa.name());
    }
}

#[test]
#[should_panic(expected = "W is packed for another tile")]
fn no_bytes_of_another_tile() {
    struct ByFours<'a>(Sums<'a>);
    impl BytesKernel for ByFours<'_> {
        #[inline(always)]
        fn run<B: Bytes>(self, b: B) {
            self.0.by::<B, Fours>(b);
        }
    }
    let (isa, kind) = (Isa::chosen().unwrap().bytes(), BytesTileKind::OfTests);
    let (data, starts, mut sums) = ([1; 16 * 64], [0; 64], [0; 64]);
    let w = BytesPanels { data: &data, starts: &starts, deep: 16, kind, lanes: isa.lanes() };
    isa.dispatch(ByFours(Sums { a: &[1; 16], rows: 1, w, sums: &mut sums, backwards: false }));
}

/// The sizes that callers take from packed operands are the tile's own.
#[test]
fn sizes_come_from_the_tile() {
    let isa = Isa::chosen().unwrap();
    let lanes = f32::lanes(isa);
    let (w, x) = (vec![1.0f32; 40 * 5], Matrix::Float(&[1.0f32; 40 * 5]));
    let sizes = || {
        let forward: PackedMatrix<f32> = pack::by_units(isa, x, &[0], 40, 5).unwrap();
        let backward = pack::by_columns(isa, &w, &[0], 5, 40).unwrap();
        (
            forward.panels_at_once(64),
            backward.padded(),
            Columns::new::<f32>(isa, 40).right_len(5) / 40usize.next_multiple_of(3 * lanes),
        )
    };
    assert_eq!(sizes().0, if own_tile() == TileKind::Registers16 { 2 } else { 1 });
    assert_eq!(with_tiles_of_tests(sizes), (3, 40usize.next_multiple_of(3 * lanes), 6));
    assert_eq!(Layout::new::<f32>(isa, Purpose::Forward, 3).wide(), 3 * lanes);
}
