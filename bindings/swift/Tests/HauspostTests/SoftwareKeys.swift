import Foundation
import Hauspost
import TestCrypto

/// Does in memory what the Keychain and the Secure Enclave do in hardware.
final class SoftwareKeys: KeyStore, @unchecked Sendable {
    private let key = test_p256_key()
    /// Hides the one key that is wrapped, as long as it is.
    private let pad = (0..<256).map { _ in UInt8.random(in: .min ... .max) }

    deinit { EVP_PKEY_free(key) }

    func wrap(key: Data) -> Data {
        Data(zip(key, pad).map { $0 ^ $1 })
    }

    func unwrap(wrapped: Data) -> Data {
        wrap(key: wrapped)
    }

    func publicKey() throws -> Data {
        var point: UnsafeMutablePointer<UInt8>?
        let length = EVP_PKEY_get1_encoded_public_key(key, &point)
        guard let point else { throw KeyStoreError.Unavailable(reason: "no public key") }
        defer { CRYPTO_free(point, "", 0) }
        return Data(bytes: point, count: length)
    }

    func sign(message: Data) throws -> Data {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: 128)
        var length = signature.count
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
            EVP_DigestSign(context, &signature, &length, [UInt8](message), message.count) == 1
        else { throw KeyStoreError.Unavailable(reason: "no signature") }
        return Data(signature.prefix(length))
    }
}
