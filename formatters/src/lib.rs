//! Messages out of plain values: a [`View`] in, a rendered message out. Knows no AWS, no async, no ledger.
pub mod view;
pub use view::View;
