import Foundation
import HauspostFFI

/// What changed, since the last element and each thing once, so that a slow reader holds up nothing but itself.
///
/// It begins with `Account.changes()`, and ends when it and its iterators are let go. For one reader.
public struct Changes: AsyncSequence, Sendable {
    fileprivate let waiting: Waiting
    fileprivate let signals: AsyncStream<Void>
    fileprivate let subscription: Subscription

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(changes: self, signals: signals.makeAsyncIterator())
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let changes: Changes
        fileprivate var signals: AsyncStream<Void>.Iterator

        public mutating func next() async -> Set<Change>? {
            while await signals.next() != nil {
                let changed = changes.waiting.take()
                if !changed.isEmpty { return changed }
            }
            return nil
        }
    }
}

extension Account {
    /// What changed, from the call on.
    public func changes() throws -> Changes {
        let waiting = Waiting()
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let subscription = try observe(
            observer: Teller {
                waiting.add($0)
                signal.yield()
            })
        return Changes(waiting: waiting, signals: signals, subscription: subscription)
    }

    /// The newest lines of a conversation: at once, and again when they changed.
    public func newest(
        conversation: String, limit: UInt32 = 50
    ) throws -> AsyncThrowingStream<TimelinePage, any Error> {
        let timeline = try timeline(conversation: conversation)
        return try looks(when: { $0 == .conversation(id: conversation) || $0 == .everyConversation }) {
            try await timeline.page(part: .newest, limit: limit)
        }
    }

    /// The documents of a conversation that are on their way: at once, and again as they move on.
    public func transfers(conversation: String) throws -> AsyncThrowingStream<[Transfer], any Error> {
        let documents = try documents(conversation: conversation)
        return try looks(when: { $0 == .conversation(id: conversation) || $0 == .everyConversation }) {
            documents.transfers()
        }
    }

    /// The first conversations of the list: at once, and again when they changed.
    public func firstConversations(
        limit: UInt32 = 50
    ) throws -> AsyncThrowingStream<ConversationPage, any Error> {
        let conversations = conversations()
        return try looks(when: { $0 == .conversations }) {
            try await conversations.page(after: nil, limit: limit)
        }
    }

    /// Who is typing in a conversation, and whether the other person is there: at once, and again when it changed.
    public func presence(conversation: String) throws -> AsyncThrowingStream<Presence, any Error> {
        let timeline = try timeline(conversation: conversation)
        return try looks(when: { $0 == .presence || $0 == .everyConversation }) {
            try await timeline.presence()
        }
    }

    /// Who this is and whether the company still knows this phone: at once, and again when it changed.
    public func infos() throws -> AsyncThrowingStream<AccountInfo, any Error> {
        try looks(when: { $0 == .account }) { try await self.info() }
    }

    /// What the person must hear of, unseen first: at once, and again when something was raised or seen.
    public func warnings(limit: UInt32 = 50) throws -> AsyncThrowingStream<[Alarm], any Error> {
        try looks(when: { $0 == .alarms }) { try await self.alarms(limit: limit) }
    }

    /// Looks at once and after each change that matters; many changes while it looks are one more look. Observing
    /// begins before the first look.
    private func looks<Seen: Equatable & Sendable>(
        when matters: @escaping @Sendable (Change) -> Bool,
        look: @escaping @Sendable () async throws -> Seen
    ) throws -> AsyncThrowingStream<Seen, any Error> {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let subscription = try observe(observer: Teller { if $0.contains(where: matters) { signal.yield() } })
        signal.yield()
        return AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let looking = Task {
                var last: Seen?
                do {
                    for await _ in signals {
                        let seen = try await look()
                        if seen != last { continuation.yield(seen) }
                        last = seen
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
                subscription.stop()
            }
            continuation.onTermination = { _ in
                looking.cancel()
                subscription.stop()
            }
        }
    }
}

/// Changes that nobody has read yet.
fileprivate final class Waiting: @unchecked Sendable {
    private let lock = NSLock()
    private var changes: Set<Change> = []

    func add(_ more: [Change]) {
        lock.withLock { changes.formUnion(more) }
    }

    func take() -> Set<Change> {
        lock.withLock {
            defer { changes = [] }
            return changes
        }
    }
}

/// Hands what the core tells to a closure.
private final class Teller: Observer {
    private let tell: @Sendable ([Change]) -> Void

    init(tell: @escaping @Sendable ([Change]) -> Void) {
        self.tell = tell
    }

    func changed(changes: [Change]) {
        tell(changes)
    }
}
