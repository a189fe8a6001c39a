package hauspost

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** Who is typing and who is there, between two phones of a company whose policy lets them see it. */
class PresenceTest {
    /** A phone that nobody holds any more is collected: these are held until the end. */
    private val held = mutableListOf<Account>()

    @Test
    fun `who is there and who types is seen where the policy has it, and only by who shows it`() = Company().use { company ->
        runBlocking {
            withTimeout(300.seconds) {
                company.allow("typing", "last_seen")
                val (anna, ben) = company.phone("anna", "Anna") to company.phone("ben", "Ben")
                assertTrue(ben.rules().use { it.policy() }.lastSeen)
                val room = anna.conversations().use { it.createDirect(ben.info().person) }
                anna.timeline(room).use { it.sendText("Guten Morgen") }
                ben.firstConversations().first { page -> page.rows.any { it.id == room } }

                anna.setInFront(true)
                val seen = ben.presence(room).first { it.lastSeen != null }
                assertTrue(seen.lastSeen!!.here)
                // She begins when he is looking already: what he sees of it lasts for six seconds.
                val annas = anna.info().person
                ben.presence(room).onEach { if (it.typing.isEmpty()) anna.timeline(room).use { here -> here.typing() } }
                    .first { it.typing == listOf(annas) }
                // Nobody has to stop: it ends by itself, and the app hears of it.
                ben.presence(room).first { it.typing.isEmpty() }
                anna.suspend(deadlineMs = 60_000u)
                assertFalse(ben.presence(room).first { it.lastSeen?.here == false }.lastSeen!!.here)

                ben.rules().use {
                    it.withholdLastSeen(true)
                    it.withholdTyping(true)
                    assertTrue(it.withholdsLastSeen() && it.withholdsTyping())
                }
                assertNull(ben.timeline(room).use { it.presence() }.lastSeen)
            }
        }
    }

    @Test
    fun `without a policy that has it nobody sees anything`() = Company().use { company ->
        runBlocking {
            withTimeout(300.seconds) {
                val (anna, ben) = company.phone("anna", "Anna") to company.phone("ben", "Ben")
                val room = anna.conversations().use { it.createDirect(ben.info().person) }
                anna.setInFront(true)
                anna.timeline(room).use {
                    it.typing()
                    it.sendText("Guten Morgen")
                }
                ben.firstConversations().first { page -> page.rows.any { it.id == room } }
                assertEquals(Presence(emptyList(), null), ben.timeline(room).use { it.presence() })
            }
        }
    }

    private suspend fun Company.phone(shortName: String, name: String): Account =
        Account.enrol(phoneFolder(shortName), invite(shortName, name), SoftwareKeys())
            .also { held += it }.also { it.start() }
}
