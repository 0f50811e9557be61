//! Backward: the recurrence of a slice, the products that follow from it, and the team of threads on both.

pub mod products;
pub mod recurrence;
pub mod team;
