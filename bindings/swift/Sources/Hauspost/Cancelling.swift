import Foundation
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

extension Documents {
    /// `open`, which stops when its task is cancelled and keeps what has come.
    public func opened(_ messageId: String, position: UInt32 = 0) async throws -> String {
        try await cancelling { try await self.open(messageId: messageId, position: position, cancel: $0) }
    }

    /// A document piece by piece; it is fetched if it is not on this phone.
    public func pieces(
        of messageId: String, position: UInt32 = 0
    ) async throws -> AsyncThrowingStream<Data, any Error> {
        let stream = try await cancelling {
            try await self.read(messageId: messageId, position: position, cancel: $0)
        }
        let next = Numbers(below: stream.pieces())
        return AsyncThrowingStream(unfolding: {
            guard let number = next.take() else { return nil }
            return try await stream.piece(number: number)
        })
    }
}

/// Numbers from 0 on, each once.
private final class Numbers: @unchecked Sendable {
    private let lock = NSLock()
    private var next: UInt32 = 0
    private let end: UInt32

    init(below end: UInt32) {
        self.end = end
    }

    func take() -> UInt32? {
        lock.withLock {
            guard next < end else { return nil }
            defer { next += 1 }
            return next
        }
    }
}
