//! The one place that chooses a tile: by instruction set and purpose when something is packed, by what is packed when it
//! is multiplied. It must not know what a tile does.

use super::layout::{Layout, Purpose, TileKind};
use super::tile::Tile;
use crate::simd::{Dispatch, Isa};

/// Runs something with the tile of a kind.
macro_rules! with_tile {
    ($kind:expr, $tile:ident => $result:expr) => {
        match $kind {
            $crate::kernels::layout::TileKind::OneRow => {
                type $tile = $crate::kernels::registers::OneRow;
                $result
            }
            $crate::kernels::layout::TileKind::Registers16 => {
                type $tile = $crate::kernels::registers::Registers16;
                $result
            }
            $crate::kernels::layout::TileKind::Registers32 => {
                type $tile = $crate::kernels::registers::Registers32;
                $result
            }
            #[cfg(test)]
            $crate::kernels::layout::TileKind::OfTests => {
                type $tile = $crate::kernels::tests::OfTests;
                $result
            }
        }
    };
}

pub(super) use with_tile;

impl TileKind {
    /// The one for an instruction set and a purpose.
    pub fn of<F: Dispatch>(isa: Isa, purpose: Purpose) -> Self {
        #[cfg(test)]
        if let Some(kind) = super::tests::chosen(isa, purpose) {
            return kind;
        }
        match purpose {
            Purpose::Forward | Purpose::Backward | Purpose::Outer => match F::registers(isa) {
                0 => Self::OneRow,
                32 => Self::Registers32,
                _ => Self::Registers16,
            },
        }
    }

    /// [`Tile::panels_at_once`]
    pub fn panels_at_once(self, rows: usize, width: usize) -> usize {
        with_tile!(self, T => T::panels_at_once(rows, width))
    }

    /// [`Tile::deep`]
    pub fn deep(self, depth: usize) -> usize {
        with_tile!(self, T => T::deep(depth))
    }

    fn best_width(self, columns: usize, lanes: usize) -> usize {
        with_tile!(self, T => T::best_width(columns, lanes))
    }
}

impl Layout {
    /// For panels of a given width.
    pub fn new<F: Dispatch>(isa: Isa, purpose: Purpose, width: usize) -> Self {
        Self { kind: TileKind::of::<F>(isa, purpose), lanes: F::lanes(isa), width }
    }

    /// For panels as wide as suits `columns` columns.
    pub fn for_columns<F: Dispatch>(isa: Isa, purpose: Purpose, columns: usize) -> Self {
        let (kind, lanes) = (TileKind::of::<F>(isa, purpose), F::lanes(isa));
        Self { kind, lanes, width: kind.best_width(columns, lanes) }
    }
}
