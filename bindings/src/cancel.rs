//! How an app stops a call that takes long.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::HauspostError;

/// Stops the call that it was given to.
///
/// Kotlin needs none: cancelling the coroutine drops the Rust future. A cancelled Swift task leaves the Rust
/// future running, so Swift hands one in and cancels it from `withTaskCancellationHandler`.
#[derive(Debug, Default, uniffi::Object)]
pub struct CancelHandle(CancellationToken);

#[uniffi::export]
impl CancelHandle {
    /// A handle for one call, or for several that end together.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Stops the calls that have this handle, and those that get it later; they fail with `cancelled`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Ends `work` with `cancelled` as soon as the handle says so.
pub(crate) async fn until_cancelled<T>(
    cancel: Option<Arc<CancelHandle>>,
    work: impl Future<Output = Result<T, HauspostError>>,
) -> Result<T, HauspostError> {
    match cancel {
        None => work.await,
        Some(cancel) => {
            cancel.0.run_until_cancelled(work).await.unwrap_or(Err(HauspostError::cancelled()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_call_ends_when_its_handle_is_cancelled() {
        let handle = CancelHandle::new();
        let call = tokio::spawn(until_cancelled(Some(handle.clone()), pending::<Result<(), _>>()));
        handle.cancel();
        assert_eq!(call.await.unwrap().unwrap_err().code(), "cancelled");
    }

    #[tokio::test]
    async fn a_handle_cancelled_before_stops_the_call_at_once() {
        let handle = CancelHandle::new();
        handle.cancel();
        let call = until_cancelled(Some(handle), pending::<Result<(), _>>());
        assert_eq!(call.await.unwrap_err().code(), "cancelled");
    }
}
