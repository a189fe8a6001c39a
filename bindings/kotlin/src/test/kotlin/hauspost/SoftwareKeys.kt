package hauspost

import java.security.KeyPairGenerator
import java.security.SecureRandom
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.spec.GCMParameterSpec

/** Does in memory what Android Keystore does in hardware, by the same algorithms. */
class SoftwareKeys : KeyStore {
    private val wrapping = KeyGenerator.getInstance("AES").apply { init(256) }.generateKey()
    private val device = KeyPairGenerator.getInstance("EC")
        .apply { initialize(ECGenParameterSpec("secp256r1")) }
        .generateKeyPair()

    override fun wrap(key: ByteArray): ByteArray {
        val nonce = ByteArray(NONCE_BYTES).also { SecureRandom().nextBytes(it) }
        return nonce + cipher(Cipher.ENCRYPT_MODE, nonce).doFinal(key)
    }

    override fun unwrap(wrapped: ByteArray): ByteArray =
        cipher(Cipher.DECRYPT_MODE, wrapped.copyOf(NONCE_BYTES)).doFinal(wrapped, NONCE_BYTES, wrapped.size - NONCE_BYTES)

    override fun publicKey(): ByteArray {
        val point = (device.public as ECPublicKey).w
        return byteArrayOf(4) + bytes(point.affineX) + bytes(point.affineY)
    }

    override fun sign(message: ByteArray): ByteArray =
        Signature.getInstance("SHA256withECDSA").run {
            initSign(device.private)
            update(message)
            sign()
        }

    private fun cipher(mode: Int, nonce: ByteArray) =
        Cipher.getInstance("AES/GCM/NoPadding").apply { init(mode, wrapping, GCMParameterSpec(128, nonce)) }

    private fun bytes(number: java.math.BigInteger): ByteArray {
        val bytes = number.toByteArray()
        return ByteArray((32 - bytes.size).coerceAtLeast(0)) + bytes.copyOfRange((bytes.size - 32).coerceAtLeast(0), bytes.size)
    }

    private companion object {
        const val NONCE_BYTES = 12
    }
}
