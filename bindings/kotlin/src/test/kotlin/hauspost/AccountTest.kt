package hauspost

import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir

class AccountTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a folder without an account says that nobody is enrolled`() {
        assertEquals("not-enrolled", failure(SoftwareKeys()).code)
    }

    @Test
    fun `a locked phone's key store is not available, and nothing is made without it`() {
        val locked = object : KeyStore by SoftwareKeys() {
            override fun wrap(key: ByteArray) = throw KeyStoreException.Unavailable("not unlocked since the start")
        }
        val error = failure(locked)
        assertEquals("key-store", error.code)
        assertTrue(error.retryable)
        assertTrue(folder.toFile().list().orEmpty().isEmpty())
    }

    @Test
    fun `a key that is gone is not one to try again`() {
        failure(SoftwareKeys())
        val gone = object : KeyStore by SoftwareKeys() {
            override fun unwrap(wrapped: ByteArray) = throw KeyStoreException.Damaged("the alias is gone")
        }
        val error = failure(gone)
        assertEquals("key-store", error.code)
        assertFalse(error.retryable)
    }

    @Test
    fun `whatever a key store throws, it becomes an error and no crash`() {
        val broken = object : KeyStore by SoftwareKeys() {
            override fun wrap(key: ByteArray): ByteArray = error("a defect of the app")
        }
        assertEquals("key-store", failure(broken).code)
    }

    private fun failure(keys: KeyStore): HauspostException =
        assertFailsWith { runBlocking { Account.open(folder.toString(), keys) } }
}
