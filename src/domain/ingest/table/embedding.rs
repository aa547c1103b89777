//! Vectors that cost a model's pass or a call: kept by tenant, model and text the moment they arrive, so that none is made
//! twice, whatever ends the work. A text is known only by its keyed digest.

use super::Tenant;
use super::write::vector_bytes;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::seams::embedder::Model;
use crate::store::{Feed, Tx, Value, View, values};
use std::collections::HashMap;

/// Texts that are asked for in one statement.
const ASKED: usize = 500;

/// The vectors of these texts (the tenant's digests of them) that the model made before.
///
/// # Errors
/// Only those of the state.
pub fn kept(view: View<'_>, tenant: &Tenant, model: &Model, texts: &[Digest]) -> Result<HashMap<Digest, Vec<f32>>> {
    let mut found = HashMap::new();
    for some in texts.chunks(ASKED) {
        let marks: Vec<String> = (3..some.len() + 3).map(|n| format!("?{n}")).collect();
        let sql =
            format!("SELECT text, vector FROM embedding WHERE tenant = ?1 AND model = ?2 AND text IN ({})", marks.join(", "));
        let mut values: Vec<Value> = vec![tenant.id().into(), model.digest.into()];
        values.extend(some.iter().map(|text| Value::from(*text)));
        view.each(&sql, &values, |row| {
            let vector: Vec<f32> = row.blob(1)?.as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)).collect();
            // One that is damaged is made again.
            if vector.len() == model.dimensions {
                found.insert(row.digest(0)?, vector);
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// How many kept vectors were made before a time.
///
/// # Errors
/// Only those of the state.
pub fn aged(view: View<'_>, before: Timestamp) -> Result<u64> {
    let n = view.count("SELECT count(*) FROM embedding WHERE created < ?1", values![before])?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// Drops the vectors that were made before a time, and says how many. The chunks have their own: only a text that comes back
/// is embedded again.
///
/// # Errors
/// Only those of the state.
pub fn expire(tx: &Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM embedding WHERE created < ?1", values![before])
}

/// Keeps vectors that the model made of these texts now.
///
/// # Errors
/// Only those of the state.
pub fn keep<'v>(
    feed: &Feed<'_>,
    tenant: &Tenant,
    model: &Model,
    now: Timestamp,
    made: impl IntoIterator<Item = (Digest, &'v [f32])>,
) -> Result<u64> {
    let row = |(text, vector): (Digest, &[f32])| {
        vec![tenant.id().into(), model.digest.into(), text.into(), vector_bytes(vector).into(), Value::from(now)]
    };
    feed.append("embedding", &["tenant", "model", "text", "vector", "created"], made.into_iter().map(row))
}
