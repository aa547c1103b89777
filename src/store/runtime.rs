//! stub
use crate::base::error::{Context, Result};
use std::sync::OnceLock;
static R: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
/// The runtime.
pub fn runtime() -> Result<&'static tokio::runtime::Runtime> {
    if let Some(r) = R.get() {
        return Ok(r);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let r = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context(|| "cannot start the runtime")?;
    Ok(R.get_or_init(|| r))
}
/// Waits.
pub fn block_on<F: std::future::Future>(f: F) -> Result<F::Output> {
    Ok(runtime()?.block_on(f))
}
