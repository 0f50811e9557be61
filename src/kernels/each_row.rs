//! A loop over the rows of a tile that is written out. It must not know what a tile does.

/// Something for each row i of a tile of M: written out, for the compiler leaves a loop over so many sums one, and sums that
/// are counted through lie in memory.
macro_rules! each_row {
    ($i:ident of $rows:ident => $work:block) => {
        $crate::kernels::each_row::each_row!($i of $rows, 0 1 2 3 4 5 6 7 => $work)
    };
    ($i:ident of $rows:ident, $($number:literal)* => $work:block) => {{
        const { assert!($rows <= 8) };
        $(if $number < $rows {
            let $i = $number;
            $work
        })*
    }};
}

pub(super) use each_row;
