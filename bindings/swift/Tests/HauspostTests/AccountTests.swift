import Foundation
import Hauspost
import Testing

@Test func aFolderWithoutAnAccountSaysThatNobodyIsEnrolled() async throws {
    #expect(try await failure(of: SoftwareKeys())?.code == "not-enrolled")
}

@Test func aLockedPhonesKeyStoreIsNotAvailableForNow() async throws {
    let error = try await failure(of: LockedKeys())
    #expect(error?.code == "key-store")
    #expect(error?.retryable == true)
}

/// A phone that was not unlocked since its start.
private final class LockedKeys: KeyStore {
    func wrap(key: Data) throws -> Data { throw KeyStoreError.Unavailable(reason: "locked") }
    func unwrap(wrapped: Data) throws -> Data { throw KeyStoreError.Unavailable(reason: "locked") }
    func publicKey() throws -> Data { throw KeyStoreError.Unavailable(reason: "locked") }
    func sign(message: Data) throws -> Data { throw KeyStoreError.Unavailable(reason: "locked") }
}

private func failure(of keys: KeyStore) async throws -> HauspostError? {
    let folder = FileManager.default.temporaryDirectory.appending(path: "hauspost-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    do {
        _ = try await Account.open(folder: folder.path, keyStore: keys)
        return nil
    } catch let error as HauspostError {
        return error
    }
}
