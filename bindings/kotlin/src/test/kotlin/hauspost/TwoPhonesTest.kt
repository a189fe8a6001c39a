package hauspost

import java.io.File
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.BeforeAll

/** Two phones of one company, against a real server. */
class TwoPhonesTest {
    /** A phone that nobody holds any more is collected, whatever it has still to send: these are held until the end. */
    private val held = mutableListOf<Account>()

    @Test
    fun `what one writes the other receives, finds, and has read`() = story {
        val (anna, ben) = phone("anna1", "Anna Groß") to phone("ben1", "Ben Krüger")
        val room = anna.talkTo(ben)
        anna.write(room, "Der Lieferschein für Müller liegt im Lager.")

        val line = ben.reads(room).map { it.texts().lastOrNull() }.first { it != null }
        assertEquals("Der Lieferschein für Müller liegt im Lager.", line)

        val row = ben.firstConversations().map { page -> page.rows.single { it.id == room } }.first { it.unread > 0u }
        assertEquals(1u, row.unread)
        assertEquals("Anna Groß", row.title)
        assertEquals(1u, ben.conversations().use { it.unreadTotal() })

        val found = ben.search().use { it.find("mueller liefer") }
        assertTrue(found.isWhole)
        val hit = found.hits.single()
        assertEquals(listOf("Lieferschein", "Müller"), hit.snippet.filter { it.found }.map { it.text })

        ben.timeline(room).use { it.markRead(hit.seq!!) }
        assertEquals(0u, ben.conversations().use { it.unreadTotal() })
    }

    @Test
    fun `what the company decided is there, and a person sets quiet hours`() = story {
        phone("anna31", "Anna").rules().use { rules ->
            val policy = rules.policy()
            assertEquals(1uL to false, policy.version to policy.readReceipts)
            rules.setQuiet(listOf(QuietStretch(days = 127u, fromMinute = 1200u, toMinute = 360u)))
            assertEquals(1200u, rules.quiet().own?.single()?.fromMinute)
            rules.withholdReceipts(true)
            assertTrue(rules.withholdsReceipts())
        }
    }

    @Test
    fun `a timeline comes in pages without a gap or a double`() = story {
        val (anna, ben) = phone("anna2", "Anna") to phone("ben2", "Ben")
        val room = anna.talkTo(ben)
        val texts = (1..120).map { "Zeile $it" }
        texts.forEach { anna.write(room, it) }
        ben.reads(room).first { it.texts().lastOrNull() == texts.last() }

        val seen = mutableListOf<String>()
        ben.timeline(room).use { timeline ->
            var page = timeline.page(TimelinePart.Newest, 50u)
            seen.addAll(0, page.texts())
            while (page.moreBefore) {
                page = timeline.page(TimelinePart.Before(page.rows.first().key), 50u)
                seen.addAll(0, page.texts())
            }
        }
        assertEquals(texts, seen)
    }

    @Test
    fun `a group's message reaches all of it`() = story {
        val (anna, ben, cem) = listOf(phone("anna3", "Anna"), phone("ben3", "Ben"), phone("cem3", "Cem"))
        val group = anna.conversations().use { it.createGroup("Lager", listOf(ben.me(), cem.me())) }
        anna.write(group, "Inventur am Freitag")
        for (other in listOf(ben, cem)) {
            other.reads(group).first { "Inventur am Freitag" in it.texts() }
        }
        ben.write(group, "Ich bin dabei")
        cem.reads(group).first { "Ich bin dabei" in it.texts() }
    }

    @Test
    fun `an announcement is confirmed, and its author sees who has not`() = story {
        val (anna, ben, cem) = listOf(phone("anna12", "Anna"), phone("ben12", "Ben"), phone("cem12", "Cem"))
        val begun = RoomToBegin("Sicherheit", listOf(ben.me(), cem.me()), announcements = true, newcomersSeePast = true)
        val room = anna.conversations().use { it.createRoom(begun) }
        val asked = anna.timeline(room).use { it.ask("Bitte **Helme** tragen") }
        for (other in listOf(ben, cem)) {
            other.reads(room).first { page -> page.rows.any { it.talk?.asking?.due == true } }
            assertFalse(other.timeline(room).use { it.standing() }.mayWrite)
        }
        val refused = assertFailsWith<HauspostException.Failed> { ben.timeline(room).use { it.write("warum?", null) } }
        assertEquals("may-not-write", refused.code)
        assertEquals(asked, ben.conversations().use { it.toConfirm() }.single().messageId)
        ben.timeline(room).use { it.confirm(asked) }
        anna.reads(room).first { page -> page.rows.any { it.talk?.asking?.confirmed == 1uL } }
        anna.people().use { it.refresh() }
        anna.timeline(room).use { timeline ->
            val list = timeline.confirmations(asked)
            assertEquals(2uL to 1uL, list.asked to list.confirmed)
            assertEquals(cem.me(), list.people.first().person)
            assertTrue("Ben" in list.csv && "\"asked\": true" in list.json)
            timeline.remind(asked, "Bitte noch bestätigen:")
            timeline.setOwner(ben.me(), true)
        }
        cem.reads(room).first { page -> page.rows.any { it.talk?.mentionsMe == true } }
        ben.reads(room).first { page -> page.rows.any { it.line == Line.MadeOwner(ben.me()) } }
        assertTrue(ben.timeline(room).use { it.roles() }.single { it.person == ben.me() }.owner)
    }

    @Test
    fun `an announcement in two rooms is confirmed once, and the list says what happened last`() = story {
        val (anna, ben) = phone("anna13", "Anna") to phone("ben13", "Ben")
        val rooms = listOf("Halle 3", "Büro").map { title ->
            val begun = RoomToBegin(title, listOf(ben.me()), announcements = true, newcomersSeePast = false)
            anna.conversations().use { it.createRoom(begun) }
        }
        assertEquals(
            listOf(AnnouncementRoom(rooms[1], "Büro"), AnnouncementRoom(rooms[0], "Halle 3")),
            anna.conversations().use { it.announcementRooms() },
        )
        val said = anna.conversations().use { it.announce(rooms, "Bitte **Helme** tragen", true) }
        for ((room, id) in rooms.zip(said)) {
            val row = ben.reads(room).map { page -> page.rows.find { it.messageId == id } }.first { it != null }
            assertEquals(Line.Text("Bitte Helme tragen"), row!!.line)
        }
        // He is in both, and is asked once.
        assertEquals(1, ben.conversations().use { it.toConfirm() }.size)
        ben.timeline(rooms[1]).use { it.confirm(said[1]) }
        anna.reads(rooms[1]).first { page -> page.rows.any { it.talk?.asking?.confirmed == 1uL } }
        val standing = anna.timeline(rooms[0]).use { it.announcement(said[0]) }!!
        assertEquals(1uL to 1uL, standing.asked to standing.confirmed)
        assertEquals(rooms.zip(said).toSet(), standing.rooms.map { it.conversation to it.messageId }.toSet())
        assertTrue(ben.conversations().use { it.toConfirm() }.isEmpty())

        anna.timeline(rooms[0]).use { it.setOwner(ben.me(), true) }
        val owner = Line.MadeOwner(ben.me())
        val last = ben.firstConversations().map { page -> page.rows.find { it.id == rooms[0] }?.last }
            .first { it?.event == owner }!!
        assertEquals(LastLineKind.EVENT to anna.me(), last.kind to last.author)
        assertEquals(
            listOf(AnnouncementRoom(rooms[0], "Halle 3")), ben.conversations().use { it.announcementRooms() },
        )
    }

    @Test
    fun `a message is answered, reacted to, changed and taken back`() = story {
        val (anna, ben) = phone("anna9", "Anna") to phone("ben9", "Ben")
        val room = anna.talkTo(ben)
        val asked = anna.timeline(room).use { it.write("Kommst du **Montag**, @ben9?", null) }
        val row = ben.reads(room).map { it.rows.lastOrNull { row -> row.messageId == asked } }.first { it != null }!!
        assertEquals("Kommst du Montag, @ben9?", (row.line as Line.Text).text)
        assertTrue(row.talk!!.mentionsMe)
        assertTrue(row.talk!!.blocks.single().spans.any { it.bold && it.text == "Montag" })
        assertEquals("Kommst du **Montag**, @ben9?", textToEdit(row))

        ben.timeline(room).use {
            it.react(asked, "👍", true)
            it.write("ja", asked)
        }
        val answer = anna.reads(room).map { it.rows.last() }.first { it.talk?.quote != null }
        assertEquals("Kommst du Montag, @ben9?", (answer.talk!!.quote as Quote.Known).text)
        anna.timeline(room).use { it.edit(asked, "Kommst du Dienstag?") }
        val changed = ben.reads(room).map { page -> page.rows.single { it.messageId == asked } }
            .first { it.talk?.fate == MessageFate.EDITED }
        assertEquals(listOf(Reaction("👍", 1u, true, false)), changed.talk!!.reactions)
        assertEquals(2, ben.timeline(room).use { it.versions(asked) }.size)

        anna.timeline(room).use { it.takeBack(asked) }
        ben.reads(room).first { page -> page.rows.single { it.messageId == asked }.line == Line.TakenBack }
        assertFailsWith<HauspostException> { ben.timeline(room).use { it.edit(asked, "nein") } }
    }

    @Test
    fun `a place, a contact, a poll and a voice message reach the other phone as what they are`() = story {
        val (anna, ben) = phone("anna10", "Anna") to phone("ben10", "Ben")
        val room = anna.talkTo(ben)
        val gate = Place(52.520008, -13.404954, 12u, "Werkstor 3")
        anna.timeline(room).use { it.sendPlace(gate) }
        anna.timeline(room).use { it.sendContact(Contact.Colleague(ben.me())) }
        val glazier = Contact.Other("Eva Kühn", null, null, listOf("+49 30 901820"), emptyList())
        anna.timeline(room).use { it.sendContact(glazier) }
        val poll = anna.timeline(room).use { it.sendPoll("Wann?", listOf("Montag", "Dienstag")) }
        val file = File.createTempFile("Notiz", ".wav").apply { writeBytes(silence()); deleteOnExit() }
        val said = anna.timeline(room).use {
            it.sendVoice(NewDocument(file.path), Voice(1_000u, ByteArray(64) { bar -> bar.toByte() }))
        }

        val rows = ben.reads(room).map { it.rows }.first { rows -> rows.any { it.messageId == said } }
        val lines = rows.map { it.line }
        assertTrue(Line.Place(gate) in lines && Line.Contact(glazier) in lines)
        assertTrue(Line.Contact(Contact.Colleague(ben.me())) in lines)
        assertEquals("geo:52.520008,-13.404954;u=12;name=Werkstor%203", geoUri(gate))
        assertEquals(glazier, contactOfVcard(vcardOfContact(glazier)!!.toByteArray()))
        val voice = rows.single { it.messageId == said }.voice!!
        assertEquals(1_000u to 64, voice.durationMs to voice.waveform.size)

        ben.timeline(room).use { it.vote(poll, listOf(1u)) }
        val voted = anna.reads(room).map { page -> page.rows.single { it.messageId == poll }.line as Line.Poll }
            .first { it.poll.voters > 0u }.poll
        assertEquals(listOf(0u, 1u), voted.options.map { it.count })
        assertEquals(listOf(Voter(ben.me(), listOf(1u))), anna.timeline(room).use { it.voters(poll, 10u) })
        anna.timeline(room).use { it.closePoll(poll) }
        ben.reads(room).first { page ->
            val line = page.rows.single { it.messageId == poll }.line as Line.Poll
            line.poll.closedBy == anna.me()
        }
        assertFailsWith<HauspostException> { ben.timeline(room).use { it.vote(poll, listOf(0u)) } }
        val hits = ben.search().use { it.find("werkstor", SearchFilter(kind = SearchKind.PLACE)) }.hits
        assertEquals(1, hits.size)
        assertFailsWith<HauspostException> { anna.timeline(room).use { it.sendPlace(Place(91.0, 0.0)) } }
    }

    /** A second of silence, as a WAV file. */
    private fun silence(): ByteArray {
        val header = java.nio.ByteBuffer.allocate(44).order(java.nio.ByteOrder.LITTLE_ENDIAN)
        header.put("RIFF".toByteArray()).putInt(36 + 16_000).put("WAVEfmt ".toByteArray()).putInt(16)
        header.putShort(1).putShort(1).putInt(8_000).putInt(16_000).putShort(2).putShort(16)
        header.put("data".toByteArray()).putInt(16_000)
        return header.array() + ByteArray(16_000)
    }

    @Test
    fun `an observer that throws hears of the next change all the same`() = story {
        val (anna, ben) = phone("anna7", "Anna") to phone("ben7", "Ben")
        val room = anna.talkTo(ben)
        val calls = Channel<List<Change>>(Channel.UNLIMITED)
        val subscription = ben.observe(object : Observer {
            override fun changed(changes: List<Change>) {
                calls.trySend(changes)
                error("a defect of the app")
            }
        })
        for (text in listOf("eins", "zwei")) {
            anna.write(room, text)
            ben.reads(room).first { text in it.texts() }
            while (Change.Conversation(room) !in calls.receive()) continue
        }
        subscription.use { it.stop() }
    }

    @Test
    fun `the flow of changes names the conversation that changed`() = story {
        val (anna, ben) = phone("anna8", "Anna") to phone("ben8", "Ben")
        val room = anna.talkTo(ben)
        coroutineScope {
            val heard = async { ben.changes().first { Change.Conversation(room) in it } }
            while (heard.isActive) {
                anna.write(room, "Hörst du?")
                delay(100)
            }
        }
    }

    @Test
    fun `a draft stays over a restart of the app`() = story {
        val keys = SoftwareKeys()
        val (anna, ben) = phone("anna4", "Anna", keys) to phone("ben4", "Ben")
        val room = anna.talkTo(ben)
        anna.timeline(room).use { it.setDraft("Noch nicht fer") }
        anna.suspend(60_000u)
        anna.close()

        val again = Account.open(company.phoneFolder("anna4"), keys)
        assertEquals("Noch nicht fer", again.conversations().use { it.find(room) }?.draft)
        again.timeline(room).use { it.setDraft(null) }
        assertNull(again.conversations().use { it.find(room) }?.draft)
        again.suspend(60_000u)
    }

    @Test
    fun `a phone asleep answers nothing, and after waking has what it missed`() = story {
        val (anna, ben) = phone("anna5", "Anna") to phone("ben5", "Ben")
        val room = anna.talkTo(ben)
        ben.reads(room).first()
        ben.suspend(60_000u)
        val asleep = assertFailsWith<HauspostException> { ben.conversations().use { it.unreadTotal() } }
        assertEquals("suspended", asleep.code)
        anna.write(room, "Bist du wach?")

        ben.resume()
        ben.start()
        ben.reads(room).first { "Bist du wach?" in it.texts() }
    }

    @Test
    fun `a person who was revoked learns it, and the others go on`() = story {
        val (anna, ben, cem) = listOf(phone("anna6", "Anna"), phone("ben6", "Ben"), phone("cem6", "Cem"))
        val group = anna.conversations().use { it.createGroup("Lager", listOf(ben.me(), cem.me())) }
        anna.write(group, "vorher")
        for (other in listOf(ben, cem)) other.reads(group).first { "vorher" in it.texts() }

        company.revoke("cem6")
        cem.infos().first { it.standing == AccountStanding.REVOKED }
        anna.write(group, "nachher")
        ben.reads(group).first { "nachher" in it.texts() }
        assertTrue("nachher" !in cem.timeline(group).use { it.page(TimelinePart.Newest, 50u) }.texts())
    }

    @Test
    fun `documents that one sends the other opens, streams and saves, and sleep closes them`() = story {
        val (anna, ben) = phone("anna21", "Anna") to phone("ben21", "Ben")
        val room = anna.talkTo(ben)
        val (large, small) = company.file("Rechnung.txt", 300_000) to company.file("leer.txt", 0)
        val files = listOf(NewDocument(large.path), NewDocument(small.path, name = "../Notiz März.txt"))
        val id = anna.documents(room).use { it.send(files, "bitte prüfen") }

        val row = ben.reads(room).map { page -> page.rows.find { it.messageId == id } }.first { it != null }!!
        assertEquals(Line.Text("bitte prüfen"), row.line)
        assertEquals(listOf("Rechnung.txt", "../Notiz März.txt"), row.documents.map { it.name })
        assertEquals(listOf("text/plain", "text/plain"), row.documents.map { it.mediaType })

        val documents = ben.documents(room)
        val opened = File(documents.open(id, 0u))
        assertContentEquals(large.readBytes(), opened.readBytes())
        assertEquals("_Notiz März.txt", File(documents.open(id, 1u)).name)
        val streamed = ben.document(room, id, 0u).toList()
        assertContentEquals(large.readBytes(), streamed.reduce { all, piece -> all + piece })
        val saved = company.file("gespeichert.txt", 1)
        documents.save(id, 0u, saved.path)
        assertContentEquals(large.readBytes(), saved.readBytes())
        assertEquals(2, documents.page(DocumentKind.FILES, null, 50u).rows.size)

        ben.suspend(60_000u)
        assertFalse(opened.exists())
        ben.resume()
        assertTrue(documents.page(DocumentKind.ALL, null, 50u).rows.all { it.document.isHere })
    }

    @Test
    fun `on a metered network a large document waits, and is shown so, until the person sends it anyway`() = story {
        val (anna, ben) = phone("anna22", "Anna") to phone("ben22", "Ben")
        val room = anna.talkTo(ben)
        anna.setMeteredLimits(MeteredLimits(uploadBytes = 1_000u, downloadBytes = null))
        anna.setMetered(true)
        val files = listOf(NewDocument(company.file("Plan.txt", 5_000).path))
        val documents = anna.documents(room)
        val id = documents.send(files, "")
        val held = anna.transfers(room).first { it.isNotEmpty() }.single()
        assertEquals(TransferState.HELD to id, held.state to held.messageId)
        documents.uploadAnyway(id)
        ben.reads(room).first { page -> page.rows.any { it.messageId == id } }
        anna.transfers(room).first { it.isEmpty() }
    }

    @Test
    fun `a phone that was put back from a backup says so until its person has seen it`() = story {
        val keys = SoftwareKeys()
        val (anna, ben) = phone("anna23", "Anna", keys) to phone("ben23", "Ben")
        val room = anna.talkTo(ben)
        anna.write(room, "vorher")
        ben.reads(room).first { "vorher" in it.texts() }
        anna.suspend(60_000u)
        val (folder, backup) = File(company.phoneFolder("anna23")) to File(company.phoneFolder("backup23"))
        folder.copyRecursively(backup)
        anna.resume()
        anna.start()
        anna.write(room, "nach der Sicherung")
        ben.reads(room).first { "nach der Sicherung" in it.texts() }
        anna.suspend(60_000u)
        anna.close()
        folder.deleteRecursively()
        backup.copyRecursively(folder)

        val again = Account.open(folder.path, keys).also { it.start() }
        val alarm = again.warnings().first { it.isNotEmpty() }.single()
        assertEquals(AlarmKind.COPIED to room, alarm.kind to alarm.conversation)
        assertFalse(alarm.acknowledged)
        again.acknowledgeAlarms(alarm.number)
        again.warnings().first { alarms -> alarms.single().acknowledged }
        again.warnings().first { alarms -> alarms.single().standing == AlarmStanding.REPORTED }
        again.suspend(60_000u)
    }

    @Test
    fun `two phones of a person agree on what is read, begun, silent, put away and on top`() = story {
        val (anna, ben) = phone("anna24", "Anna") to phone("ben24", "Ben")
        val room = ben.talkTo(anna)
        ben.write(room, "Montag?")
        val read = anna.reads(room).first { "Montag?" in it.texts() }
        val tablet = furtherPhone("anna24", "Anna", anna)
        anna.timeline(room).use {
            it.markRead(read.rows.last().seq!!)
            it.setFavourite(true)
            it.muteUntil(4_000_000_000_000)
        }
        anna.setSetting("quiet", byteArrayOf(1))
        // Last, so that whoever has it has the rest as well.
        anna.timeline(room).use { it.setDraft("Ja, um") }
        anna.tellNow()

        val rows = tablet.firstConversations().map { page -> page.rows.find { it.id == room } }
        val there = rows.first { it?.draft == "Ja, um" }!!
        assertEquals(listOf(true, true, false), listOf(there.favourite, there.muted, there.archived))
        assertEquals(4_000_000_000_000, there.mutedUntilMs)
        assertContentEquals(byteArrayOf(1), tablet.setting("quiet"))

        tablet.timeline(room).use {
            it.setDraftFrom(null, there.draftVersion)
            it.setArchived(true)
        }
        tablet.tellNow()
        anna.firstConversations().first { page -> page.rows.none { it.id == room } }
        val away = anna.conversations().use { it.archived(null, 10u) }.rows.single()
        assertEquals(room to null, away.id to away.draft)
        val notes = anna.conversations().use { it.notes() }!!
        assertEquals(ConversationKind.NOTES, notes.kind)
        anna.write(notes.id, "Zange kaufen")
        tablet.reads(notes.id).first { "Zange kaufen" in it.texts() }
    }

    /** Another phone of somebody who has one, let in by that one. */
    private suspend fun furtherPhone(shortName: String, name: String, first: Account): Account {
        val (invitation, folder, keys) =
            Triple(company.invite(shortName, name), company.phoneFolder("$shortName-2"), SoftwareKeys())
        val waits = assertFailsWith<HauspostException> { Account.enrol(folder, invitation, keys) }
        assertEquals("needs-approval", waits.code)
        first.approveDevice(Regex("\\w{4}-\\w{4}-\\w{4}").find(waits.text)!!.value)
        return Account.enrol(folder, invitation, keys).also { held += it }.also { it.start() }
    }

    private suspend fun phone(shortName: String, name: String, keys: KeyStore = SoftwareKeys()): Account {
        val invitation = company.invite(shortName, name)
        return Account.enrol(company.phoneFolder(shortName), invitation, keys).also { held += it }.also { it.start() }
    }

    private suspend fun Account.me() = info().person

    private suspend fun Account.talkTo(other: Account) = conversations().use { it.createDirect(other.me()) }

    private suspend fun Account.write(conversation: String, text: String) =
        timeline(conversation).use { it.sendText(text) }

    /** The newest lines of a conversation, as soon as this phone has it. */
    private suspend fun Account.reads(conversation: String): Flow<TimelinePage> {
        firstConversations().first { page -> page.rows.any { it.id == conversation } }
        return newest(conversation)
    }

    private fun TimelinePage.texts() = rows.mapNotNull { (it.line as? Line.Text)?.text }

    private fun story(tell: suspend () -> Unit) = runBlocking { withTimeout(300.seconds) { tell() } }

    private companion object {
        lateinit var company: Company

        @JvmStatic @BeforeAll
        fun found() {
            company = Company()
        }

        @JvmStatic @AfterAll
        fun close() = company.close()
    }
}
