//! Pieces of plain bytes to pieces of an age stream, and back.

use crate::base::error::{Context as _, Error, Result};
use crate::store::age::{Identities, Label, Recipients, Unopened};
use crate::store::objects::pieces::{Pieces, Reader};
use bytes::Bytes;
use std::fmt;
use std::io::{self, BufReader, Read as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Plain bytes that are decrypted at once.
const PLAIN: usize = 256 << 10;

/// An encrypted object is not what was written; found with [`Error::cause`].
#[derive(Debug)]
pub(in crate::store::objects) struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the encrypted bytes are not what was written")
    }
}

impl std::error::Error for Damaged {}

/// What was encrypted and not yet taken.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The stream of some plain bytes.
pub(super) fn seal<'a>(recipients: &Recipients, label: &Label, mut plain: Box<Pieces<'a>>) -> Result<Box<Pieces<'a>>> {
    let failed = || "cannot encrypt an object";
    let out = Out::default();
    let mut writer = Some(recipients.labelled_writer(label, out.clone())?);
    Ok(Box::new(move || {
        while let Some(mut open) = writer.take() {
            match plain()? {
                Some(bytes) => {
                    open.write_all(&bytes).context(failed)?;
                    writer = Some(open);
                }
                None => drop(open.finish().context(failed)?),
            }
            let sealed = out.take();
            if !sealed.is_empty() {
                return Ok(Some(sealed.into()));
            }
        }
        Ok(None)
    }))
}

/// The plain bytes of a stream. `not_ours` tells what to say when no key reads it; nothing when one should.
pub(super) fn unseal<'a>(
    identities: &Identities,
    sealed: Box<Pieces<'a>>,
    not_ours: &dyn Fn() -> Option<Error>,
) -> Result<Box<Pieces<'a>>> {
    let reader = Reader::new(sealed);
    let trouble = reader.trouble();
    let mut plain = match identities.open(BufReader::with_capacity(PLAIN, reader)) {
        Ok(plain) => plain,
        Err(why) => {
            let e = match why {
                Unopened::NotOurs => trouble.take().or_else(not_ours),
                Unopened::Damaged(_) => trouble.take(),
            };
            return Err(e.unwrap_or_else(damaged));
        }
    };
    Ok(Box::new(move || {
        let (mut buffer, mut filled) = (vec![0; PLAIN], 0);
        while filled < PLAIN {
            match plain.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(trouble.take().unwrap_or_else(damaged)),
            }
        }
        buffer.truncate(filled);
        Ok((filled > 0).then(|| Bytes::from(buffer)))
    }))
}

fn damaged() -> Error {
    let damaged: Result<()> = Err(Damaged).context(|| "the object is damaged");
    damaged.err().unwrap_or_else(|| Error::new("the object is damaged"))
}
