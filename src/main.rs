//! The `kf` binary: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kf::cli::main(std::env::args_os())
}
