//! The `kf` binary: see the library.
fn main() {}
