import Foundation
@_exported import HauspostFFI

extension HauspostError: LocalizedError {
    /// What happened, for the app: stable, in lower case with hyphens.
    public var code: String {
        switch self { case .Failed(let code, _, _): code }
    }

    /// Whether the same call can succeed later without anybody doing anything.
    public var retryable: Bool {
        switch self { case .Failed(_, let retryable, _): retryable }
    }

    /// What happened, for people.
    public var errorDescription: String? {
        switch self { case .Failed(_, _, let text): text }
    }
}
