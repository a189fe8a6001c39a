import HauspostFFI

/// Runs a call that takes a cancel handle, so that cancelling the task stops it.
///
/// Without it the Rust future runs on when the task that awaits it is cancelled.
public func cancelling<Success>(
    _ call: (CancelHandle) async throws -> Success
) async throws -> Success {
    let handle = CancelHandle()
    return try await withTaskCancellationHandler {
        try await call(handle)
    } onCancel: {
        handle.cancel()
    }
}

extension Search {
    /// `find`, which stops when its task is cancelled.
    public func messages(
        _ text: String, filter: SearchFilter? = nil, after: Int64? = nil, limit: UInt32 = 50
    ) async throws -> SearchPage {
        try await cancelling {
            try await find(text: text, filter: filter, after: after, limit: limit, cancel: $0)
        }
    }
}
