//! How a right operand is packed: for which tile, in panels of which width. It must not know what a tile does.

/// The tiles there are, as values: what is packed remembers the one it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileKind {
    /// [`super::registers::OneRow`]
    OneRow,
    /// [`super::registers::Registers16`]
    Registers16,
    /// [`super::registers::Registers32`]
    Registers32,
    /// Another one, so that tests can see that nothing above depends on the first.
    #[cfg(test)]
    OfTests,
}

/// What a right operand is packed for: each may have a tile of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// y = b + W x: panels of one vector of units, a vector for each gate, and rows as they lie.
    Forward,
    /// dx = Wᵀ dy: panels of any width, and rows as they lie.
    Backward,
    /// dW = Σ dy xᵀ: both operands packed at each call.
    Outer,
}

/// How a right operand is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The tile it is for.
    pub kind: TileKind,
    /// Numbers in a vector.
    pub lanes: usize,
    /// Vectors side by side in a panel, 1 to 4.
    pub width: usize,
}

impl Layout {
    /// Columns of a panel.
    pub fn wide(&self) -> usize {
        self.width * self.lanes
    }

    /// Columns with those that fill the last panel.
    pub fn padded(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.wide())
    }
}

/// (h, n, tiles): `rows` rows shared out evenly, so that no lone last row leaves the registers idle:
/// the first n of the tiles have h + 1 rows, the others h.
pub fn tile_heights(rows: usize, tallest: usize) -> (usize, usize, usize) {
    let tiles = rows.div_ceil(tallest);
    (rows / tiles.max(1), rows % tiles.max(1), tiles)
}
