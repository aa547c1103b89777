//! The lock of long work (`.kf/lock`): one process at a time collects garbage, moves or checks the state.
//!
//! The kernel holds it, so a process that dies gives it up; the text in the file only tells who has it.

use crate::base::error::{Context, Error, Kind, Result};
use crate::base::time::Timestamp;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// Held while it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, waiting up to `patience`; `waiting` is told once who holds it.
    ///
    /// # Errors
    /// [`Kind::Locked`] when somebody else still holds it.
    pub fn take(path: &Path, what: &str, now: Timestamp, patience: Duration, waiting: &mut dyn FnMut(&str)) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .context(|| format!("cannot open the lock {}", path.display()))?;
        let pause = Duration::from_millis(50);
        let mut left = patience;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(e).context(|| format!("cannot lock {}", path.display())),
            }
            let mut holder = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
            let holder = holder.trim().to_owned();
            if left.is_zero() {
                return Err(Error::of(Kind::Locked, format!("the state is locked by {holder}"))
                    .hint("try again later, or wait longer with `--lock-timeout 10m`"));
            }
            if !told {
                waiting(&holder);
                told = true;
            }
            let nap = pause.min(left);
            std::thread::sleep(nap);
            left -= nap;
        }
        let text = format!("`kf {what}` (pid {}, since {now})\n", std::process::id());
        file.rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(text.as_bytes()))
            .context(|| format!("cannot write the lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}
