package hauspost

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse

class InvitationTest {
    @Test
    fun `a text that is no invitation is refused with a code and a sentence for people`() {
        val error = assertFailsWith<HauspostException.Failed> { readInvitation("hauspost1:AAAA") }
        assertEquals("invitation", error.code)
        assertFalse(error.retryable)
    }
}
