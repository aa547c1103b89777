//! The one asynchronous runtime of the program, built on first use.
//!
//! `store` is blocking: what it needs from asynchronous crates (object stores, PostgreSQL) it waits for here. Asynchronous
//! code calls `store` only through `spawn_blocking`; a call straight from a task would stop a worker that others need, so
//! [`block_on`] refuses it as a bug instead of hanging or panicking. A command that needs no network never starts a thread.

use crate::base::error::{Context, Error, Kind, Result};
use futures_util::FutureExt as _;
use std::future::Future;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive connections; the work itself is done by the threads that wait.
const WORKERS: usize = 2;
/// How often [`block_on_while`] asks.
const ASKED_EVERY: Duration = Duration::from_millis(100);

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static BUILDING: Mutex<()> = Mutex::new(());

/// The runtime, built on the first call, which also makes *ring* the process's TLS implementation.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // One builder at a time: a second runtime could not be dropped from within asynchronous code.
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // An error means that somebody has chosen an implementation before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("kf-io")
        .enable_all()
        .build()
        .context(|| "cannot start the threads for network work")
        .hint(|| "raise the limit of processes (`ulimit -u`) and run the command again".into())?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Waits for a future on this thread.
///
/// # Errors
/// [`Kind::Bug`] when called from within a task or another `block_on`; what [`runtime`] fails with.
pub fn block_on<F: Future>(future: F) -> Result<F::Output> {
    if inside_a_task() {
        return Err(Error::of(Kind::Bug, "blocking work was called from asynchronous code")
            .hint("call `store` through `tokio::task::spawn_blocking`"));
    }
    Ok(runtime()?.block_on(future))
}

/// The same while `goes_on`, which is asked ten times a second outside of the future, says so; `None` once it does not.
///
/// # Errors
/// As [`block_on`].
pub fn block_on_while<F: Future>(future: F, goes_on: &dyn Fn() -> bool) -> Result<Option<F::Output>> {
    let mut future = std::pin::pin!(future);
    loop {
        match block_on(async { tokio::time::timeout(ASKED_EVERY, future.as_mut()).await })? {
            Ok(done) => return Ok(Some(done)),
            Err(_) if goes_on() => {}
            Err(_) => return Ok(None),
        }
    }
}

/// True while a runtime polls a future on this thread, where blocking would panic.
///
/// A runtime is also "current" on the threads of `spawn_blocking`, where blocking is right. What tells them apart is the
/// budget of cooperative scheduling: only a polled future has one, and it is less than 256 steps.
fn inside_a_task() -> bool {
    let spent = || tokio::task::consume_budget().now_or_never().is_none();
    Handle::try_current().is_ok() && (0..=u8::MAX).any(|_| spent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(result: Result<i32>) -> bool {
        result.is_err_and(|e| e.kind() == Kind::Bug && !e.hints().is_empty())
    }

    #[test]
    fn a_future_is_waited_for() {
        assert_eq!(block_on(async { 7 }).expect("no task around"), 7);
        assert!(std::ptr::eq(runtime().expect("built"), runtime().expect("built")));
    }

    #[test]
    fn timers_and_tls_work_on_it() {
        block_on(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await }).expect("waits");
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }

    #[test]
    fn what_nobody_waits_for_is_given_up() {
        assert_eq!(block_on_while(async { 7 }, &|| false).expect("no task around"), Some(7));
        let asked = std::cell::Cell::new(0);
        let twice = || {
            asked.set(asked.get() + 1);
            asked.get() < 2
        };
        let given_up = block_on_while(std::future::pending::<()>(), &twice).expect("no task around");
        assert_eq!((given_up, asked.get()), (None, 2));
    }

    #[test]
    fn asynchronous_code_is_refused_and_not_hung_or_panicked() {
        assert!(is_refused(block_on(async { block_on(async { 1 }) }).expect("the outer one may wait")));
        let task = runtime().expect("built").spawn(async { is_refused(block_on(async { 1 })) });
        assert!(block_on(task).expect("waits").expect("no panic"));
    }

    #[test]
    fn blocking_threads_may_wait() {
        let work = runtime().expect("built").spawn_blocking(|| block_on(async { 2 }));
        assert_eq!(block_on(work).expect("waits").expect("no panic").expect("allowed"), 2);
    }
}
