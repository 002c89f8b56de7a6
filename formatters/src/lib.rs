//! Messages out of plain values: a [`View`] in, a rendered message out. Knows no AWS, no async, no ledger.
//!
//! Templates are JSON written in Tera; every value in them is escaped by construction ([`escape`]), and the result is
//! held to Slack's limits by shortening visibly. [`terminal()`] shows a rendered message without Slack.
mod context;
mod error;
pub mod escape;
mod filters;
mod formatter;
mod json;
mod limits;
mod lint;
mod locale;
pub mod sample;
pub mod shorten;
mod terminal;
mod texts;
pub mod view;

pub use error::TemplateError;
pub use formatter::{Formatter, Message};
pub use locale::{label, word};
pub use terminal::terminal;
pub use texts::Texts;
pub use view::{Kind, Locale, View};
