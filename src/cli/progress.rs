//! Progress for a person who watches; nothing for a pipe, for CI or under `--quiet`.

use super::out::Out;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of bytes on standard error; hidden when nobody watches.
pub(crate) fn bytes(out: &Out, what: &'static str, total: u64) -> ProgressBar {
    bar(out, what, total, "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

/// A bar of things on standard error; hidden when nobody watches.
pub(crate) fn things(out: &Out, what: &'static str, total: u64) -> ProgressBar {
    bar(out, what, total, "{msg} {bar:30} {pos}/{len} {eta}")
}

fn bar(out: &Out, what: &'static str, total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(
        Some(total),
        if out.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
