import Foundation
import Hauspost
import Testing

/// Two phones of one company, against a real server.
@Suite(.serialized, .timeLimit(.minutes(10)))
final class TwoPhonesTests {
    private let company: Company

    init() throws {
        company = try Company()
    }

    deinit {
        company.close()
    }

    @Test func whatOneWritesTheOtherReceivesFindsAndHasRead() async throws {
        let (anna, ben) = (try await phone("anna", "Anna Groß"), try await phone("ben", "Ben Krüger"))
        let room = try await anna.talk(to: ben)
        try await anna.write(room, "Der Lieferschein für Müller liegt im Lager.")

        let page = try await ben.reads(room).first { !$0.texts.isEmpty }
        #expect(page?.texts.last == "Der Lieferschein für Müller liegt im Lager.")

        let row = try await ben.firstConversations().first { $0.rows.first?.unread ?? 0 > 0 }?.rows.first
        #expect(row?.unread == 1)
        #expect(row?.title == "Anna Groß")

        let found = try await ben.search().messages("mueller liefer")
        #expect(found.isWhole)
        let hit = try #require(found.hits.first)
        #expect(hit.snippet.filter(\.found).map(\.text) == ["Lieferschein", "Müller"])

        let seq = try #require(hit.seq)
        try await ben.timeline(conversation: room).markRead(upToSeq: seq)
        #expect(try await ben.conversations().unreadTotal() == 0)
    }

    @Test func aTimelineComesInPagesWithoutAGapOrADouble() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        let texts = (1...120).map { "Zeile \($0)" }
        for text in texts { try await anna.write(room, text) }
        _ = try await ben.reads(room).first { $0.texts.last == texts.last }

        let timeline = try ben.timeline(conversation: room)
        var page = try await timeline.page(part: .newest, limit: 50)
        var seen = page.texts
        while page.moreBefore, let first = page.rows.first {
            page = try await timeline.page(part: .before(key: first.key), limit: 50)
            seen = page.texts + seen
        }
        #expect(seen == texts)
    }

    @Test func aMessageIsAnsweredReactedToChangedAndTakenBack() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        let asked = try await anna.timeline(conversation: room).write(text: "Kommst du **Montag**?", replyTo: nil)
        let page = try await ben.reads(room).first { $0.rows.contains { $0.messageId == asked } }
        let row = try #require(page?.rows.last)
        #expect(row.talk?.blocks.first?.spans.contains { $0.bold && $0.text == "Montag" } == true)

        let bens = try ben.timeline(conversation: room)
        try await bens.react(messageId: asked, emoji: "👍", on: true)
        _ = try await bens.write(text: "ja", replyTo: asked)
        let answer = try await anna.reads(room).first { $0.rows.last?.talk?.quote != nil }
        guard case .known(_, _, _, let text)? = answer?.rows.last?.talk?.quote else {
            Issue.record("the original is there")
            return
        }
        #expect(text == "Kommst du Montag?")
        try await anna.timeline(conversation: room).takeBack(messageId: asked)
        let after = try await ben.reads(room).first { $0.rows.contains { $0.line == .takenBack } }
        #expect(after != nil)
    }

    @Test func aPlaceAndAPollReachTheOtherPhoneAsWhatTheyAre() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        let annas = try anna.timeline(conversation: room)
        let gate = Place(latitude: 52.520008, longitude: -13.404954, accuracyM: 12, name: "Werkstor 3")
        _ = try await annas.sendPlace(place: gate)
        let poll = try await annas.sendPoll(question: "Wann?", options: ["Montag", "Dienstag"])

        let page = try await ben.reads(room).first { $0.rows.contains { $0.messageId == poll } }
        #expect(page?.rows.contains { $0.line == .place(place: gate) } == true)
        #expect(geoUri(place: gate) == "geo:52.520008,-13.404954;u=12;name=Werkstor%203")

        try await ben.timeline(conversation: room).vote(messageId: poll, options: [1])
        let counts: @Sendable (TimelinePage) -> [UInt32] = { page in
            guard case .poll(let shown)? = page.rows.first(where: { $0.messageId == poll })?.line else { return [] }
            return shown.options.map(\.count)
        }
        let voted = try await anna.reads(room).first { counts($0) == [0, 1] }
        #expect(voted != nil)
        try await annas.closePoll(messageId: poll)
        #expect(try await annas.voters(messageId: poll, limit: 10).map(\.options) == [[1]])
        await #expect(throws: HauspostError.self) {
            try await annas.sendPoll(question: "Wann?", options: ["nie"])
        }
    }

    @Test func anAnnouncementIsConfirmedAndItsAuthorSeesWhoHasNot() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let bens = try await ben.info().person
        let begun = RoomToBegin(
            title: "Sicherheit", people: [bens], announcements: true, newcomersSeePast: false)
        let room = try await anna.conversations().createRoom(room: begun)
        let annas = try anna.timeline(conversation: room)
        let asked = try await annas.ask(text: "Bitte **Helme** tragen")
        _ = try await ben.reads(room).first { $0.rows.contains { $0.talk?.asking?.due == true } }

        let reading = try ben.timeline(conversation: room)
        #expect(try await reading.standing().mayWrite == false)
        await #expect {
            try await reading.write(text: "warum?", replyTo: nil)
        } throws: {
            ($0 as? HauspostError)?.code == "may-not-write"
        }
        #expect(try await annas.confirmations(messageId: asked).people.first?.person == bens)
        try await reading.confirm(messageId: asked)
        _ = try await anna.reads(room).first { $0.rows.contains { $0.talk?.asking?.confirmed == 1 } }
        try await anna.people().refresh()
        let list = try await annas.confirmations(messageId: asked)
        #expect(list.confirmed == 1 && list.csv.contains("Ben"))
        #expect(try await ben.conversations().toConfirm().isEmpty)
    }

    @Test func anAnnouncementInTwoRoomsIsConfirmedOnceAndTheListSaysWhatHappenedLast() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let bens = try await ben.info().person
        var rooms: [String] = []
        for title in ["Halle 3", "Büro"] {
            let begun = RoomToBegin(title: title, people: [bens], announcements: true, newcomersSeePast: false)
            rooms.append(try await anna.conversations().createRoom(room: begun))
        }
        #expect(try await anna.conversations().announcementRooms().map(\.title) == ["Büro", "Halle 3"])
        let said = try await anna.conversations().announce(
            rooms: rooms, text: "Bitte **Helme** tragen", toBeConfirmed: true)
        for (room, id) in zip(rooms, said) {
            let page = try await ben.reads(room).first { $0.rows.contains { $0.messageId == id } }
            #expect(page?.texts == ["Bitte Helme tragen"])
        }
        // He is in both, and is asked once.
        #expect(try await ben.conversations().toConfirm().count == 1)
        try await ben.timeline(conversation: rooms[1]).confirm(messageId: said[1])
        _ = try await anna.reads(rooms[1]).first { $0.rows.contains { $0.talk?.asking?.confirmed == 1 } }
        let standing = try await anna.timeline(conversation: rooms[0]).announcement(messageId: said[0])
        #expect(standing?.asked == 1 && standing?.confirmed == 1)
        #expect(Set(standing?.rooms.map(\.messageId) ?? []) == Set(said))
        #expect(try await ben.conversations().toConfirm().isEmpty)

        let hall = rooms[0]
        try await anna.timeline(conversation: hall).setOwner(person: bens, owner: true)
        let list = try await ben.firstConversations().first { page in
            page.rows.contains { $0.id == hall && $0.last?.event == .madeOwner(person: bens) }
        }
        #expect(list?.rows.first { $0.id == hall }?.last?.kind == .event)
        #expect(try await ben.conversations().announcementRooms().map(\.id) == [hall])
    }

    @Test func theSequenceOfChangesNamesTheConversationThatChanged() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        let changes = try ben.changes()
        try await anna.write(room, "Hörst du?")
        let heard = await changes.first { $0.contains(.conversation(id: room)) }
        #expect(heard != nil)
    }

    @Test func aPhoneAsleepAnswersNothingAndAfterWakingHasWhatItMissed() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        try await anna.write(room, "Guten Morgen")
        _ = try await ben.reads(room).first { !$0.texts.isEmpty }

        try await ben.suspend(deadlineMs: 60_000)
        await #expect {
            try await ben.conversations().unreadTotal()
        } throws: {
            ($0 as? HauspostError)?.code == "suspended"
        }
        try await anna.write(room, "Bist du wach?")
        try await ben.resume()
        try await ben.start()
        let page = try await ben.reads(room).first { $0.texts.contains("Bist du wach?") }
        #expect(page?.texts == ["Guten Morgen", "Bist du wach?"])
    }

    @Test func aPersonWhoWasRevokedLearnsItAndTheOthersGoOn() async throws {
        let anna = try await phone("anna", "Anna")
        let (ben, cem) = (try await phone("ben", "Ben"), try await phone("cem", "Cem"))
        let people = [try await ben.info().person, try await cem.info().person]
        let group = try await anna.conversations().createGroup(title: "Lager", people: people)
        try await anna.write(group, "vorher")
        for other in [ben, cem] {
            _ = try await other.reads(group).first { $0.texts == ["vorher"] }
        }

        try company.revoke("cem")
        _ = try await cem.infos().first { $0.standing == .revoked }
        try await anna.write(group, "nachher")
        _ = try await ben.reads(group).first { $0.texts == ["vorher", "nachher"] }
        let page = try await cem.timeline(conversation: group).page(part: .newest, limit: 50)
        #expect(page.texts == ["vorher"])
    }

    @Test func aCancelledTaskStopsItsSearch() async throws {
        let anna = try await phone("anna", "Anna")
        let search = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await anna.search().messages("Lager")
        }
        await #expect {
            try await search.value
        } throws: {
            ($0 as? HauspostError)?.code == "cancelled"
        }
    }

    @Test func documentsThatOneSendsTheOtherOpensAndStreamsAndSleepClosesThem() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        let large = try company.file("Rechnung.txt", size: 300_000)
        let files = [
            NewDocument(path: large), NewDocument(path: try company.file("leer.txt", size: 0), name: "../Notiz.txt"),
        ]
        let id = try await anna.documents(conversation: room).send(files: files, text: "bitte prüfen")

        let page = try await ben.reads(room).first { $0.rows.contains { $0.messageId == id } }
        let row = try #require(page?.rows.first { $0.messageId == id })
        #expect(row.documents.map(\.name) == ["Rechnung.txt", "../Notiz.txt"])

        let documents = try ben.documents(conversation: room)
        let content = try Data(contentsOf: URL(filePath: large))
        let opened = try await documents.opened(id)
        #expect(try Data(contentsOf: URL(filePath: opened)) == content)
        var streamed = Data()
        for try await piece in try await documents.pieces(of: id) { streamed += piece }
        #expect(streamed == content)
        #expect(try await documents.page(kind: .files, before: nil, limit: 50).rows.count == 2)

        try await ben.suspend(deadlineMs: 60_000)
        #expect(!FileManager.default.fileExists(atPath: opened))
    }

    @Test func aDocumentHeldBackOnAMeteredNetworkIsShownSoAndSentAnyway() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        try await anna.setMeteredLimits(limits: MeteredLimits(uploadBytes: 1_000, downloadBytes: nil))
        anna.setMetered(metered: true)
        let documents = try anna.documents(conversation: room)
        let file = NewDocument(path: try company.file("Plan.txt", size: 5_000))
        let id = try await documents.send(files: [file], text: "")
        let held = try await anna.transfers(conversation: room).first { !$0.isEmpty }
        #expect(held?.first?.state == .held)
        #expect(held?.first?.messageId == id)
        try await documents.uploadAnyway(messageId: id)
        _ = try await ben.reads(room).first { $0.rows.contains { $0.messageId == id } }
    }

    @Test func aPhonePutBackFromABackupSaysSoUntilItsPersonHasSeenIt() async throws {
        let keys = SoftwareKeys()
        let (anna, ben) = (try await phone("anna", "Anna", keys), try await phone("ben", "Ben"))
        let room = try await anna.talk(to: ben)
        try await anna.write(room, "vorher")
        _ = try await ben.reads(room).first { $0.texts.contains("vorher") }
        try await anna.suspend(deadlineMs: 60_000)
        let (folder, backup) = (company.phoneFolder("anna"), company.phoneFolder("backup"))
        try FileManager.default.copyItem(atPath: folder, toPath: backup)
        try await anna.resume()
        try await anna.start()
        try await anna.write(room, "nach der Sicherung")
        _ = try await ben.reads(room).first { $0.texts.contains("nach der Sicherung") }
        try await anna.suspend(deadlineMs: 60_000)

        let again = try await Account.open(folder: backup, keyStore: keys)
        try await again.start()
        let alarm = try #require(try await again.warnings().first { !$0.isEmpty }?.first)
        #expect(alarm.kind == .copied && alarm.conversation == room && !alarm.acknowledged)
        try await again.acknowledgeAlarms(upTo: alarm.number)
        let seen = try await again.warnings().first { $0.allSatisfy(\.acknowledged) }
        #expect(seen?.count == 1)
        try await again.suspend(deadlineMs: 60_000)
    }

    @Test func twoPhonesOfAPersonAgreeOnWhatIsBegunSilentPutAwayAndOnTop() async throws {
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let room = try await ben.talk(to: anna)
        try await ben.write(room, "Montag?")
        _ = try await anna.reads(room).first { $0.texts.contains("Montag?") }
        let tablet = try await furtherPhone("anna", "Anna", of: anna)
        let timeline = try anna.timeline(conversation: room)
        try await timeline.setFavourite(favourite: true)
        try await timeline.muteUntil(untilMs: 4_000_000_000_000)
        try await anna.setSetting(name: "quiet", value: Data([1]))
        // Last, so that whoever has it has the rest as well.
        try await timeline.setDraft(text: "Ja, um")
        try await anna.tellNow()

        let page = try await tablet.firstConversations().first {
            $0.rows.contains { $0.id == room && $0.draft == "Ja, um" }
        }
        let there = try #require(page?.rows.first { $0.id == room })
        #expect(there.favourite && there.muted && !there.archived)
        #expect(try await tablet.setting(name: "quiet") == Data([1]))

        try await tablet.timeline(conversation: room).setArchived(archived: true)
        try await tablet.tellNow()
        _ = try await anna.firstConversations().first { $0.rows.allSatisfy { $0.id != room } }
        #expect(try await anna.conversations().archived(after: nil, limit: 10).rows.map(\.id) == [room])
    }

    /// Another phone of somebody who has one, let in by that one.
    private func furtherPhone(_ shortName: String, _ name: String, of first: Account) async throws -> Account {
        let invitation = try company.invite(shortName, name: name)
        let (folder, keys) = (company.phoneFolder(shortName + "-2"), SoftwareKeys())
        do {
            _ = try await Account.enrol(folder: folder, invitation: invitation, keyStore: keys)
            Issue.record("nobody has signed for it")
        } catch let waits as HauspostError {
            #expect(waits.code == "needs-approval")
            let code = waits.localizedDescription.firstMatch(of: /\w{4}-\w{4}-\w{4}/)
            _ = try await first.approveDevice(code: String(try #require(code).output))
        }
        let account = try await Account.enrol(folder: folder, invitation: invitation, keyStore: keys)
        try await account.start()
        return account
    }

    @Test func whatTheCompanyDecidedIsThereAndAPersonSetsHisQuietHours() async throws {
        let rules = try await phone("anna31", "Anna").rules()
        let policy = try await rules.policy()
        #expect(policy.version == 1 && !policy.readReceipts && policy.officers == 3)
        try await rules.setQuiet(own: [QuietStretch(days: 127, fromMinute: 1200, toMinute: 360)])
        #expect(try await rules.quiet().own?.first?.fromMinute == 1200)
        try await rules.withholdReceipts(withheld: true)
        #expect(try await rules.withholdsReceipts())
    }

    @Test func whoIsThereAndWhoTypesIsSeenWhereThePolicyHasItAndOnlyByWhoShowsIt() async throws {
        try company.allow("typing", "last_seen")
        let (anna, ben) = (try await phone("anna", "Anna"), try await phone("ben", "Ben"))
        let annas = try await anna.info().person
        let room = try await anna.talk(to: ben)
        try await anna.write(room, "Guten Morgen")
        _ = try await ben.reads(room).first { !$0.texts.isEmpty }

        anna.setInFront(inFront: true)
        let seen = try await ben.presence(conversation: room).first { $0.lastSeen != nil }
        #expect(seen?.lastSeen?.here == true)
        // She begins when he is looking already: what he sees of it lasts for six seconds.
        for try await presence in try ben.presence(conversation: room) {
            if presence.typing == [annas] { break }
            try anna.timeline(conversation: room).typing()
        }
        _ = try await ben.presence(conversation: room).first { $0.typing.isEmpty }
        try await anna.suspend(deadlineMs: 60_000)
        let gone = try await ben.presence(conversation: room).first { $0.lastSeen?.here == false }
        #expect(gone != nil)

        let rules = ben.rules()
        try await rules.withholdLastSeen(withheld: true)
        #expect(try await rules.withholdsLastSeen())
        #expect(try await ben.timeline(conversation: room).presence().lastSeen == nil)
    }

    private func phone(
        _ shortName: String, _ name: String, _ keys: SoftwareKeys = SoftwareKeys()
    ) async throws -> Account {
        let invitation = try company.invite(shortName, name: name)
        let account = try await Account.enrol(
            folder: company.phoneFolder(shortName), invitation: invitation, keyStore: keys)
        try await account.start()
        return account
    }
}

extension Account {
    fileprivate func talk(to other: Account) async throws -> String {
        try await conversations().createDirect(person: other.info().person)
    }

    /// The newest lines of a conversation, as soon as this phone has it.
    fileprivate func reads(_ conversation: String) async throws -> AsyncThrowingStream<TimelinePage, any Error> {
        _ = try await firstConversations().first { $0.rows.contains { $0.id == conversation } }
        return try newest(conversation: conversation)
    }

    fileprivate func write(_ conversation: String, _ text: String) async throws {
        _ = try await timeline(conversation: conversation).sendText(text: text)
    }
}

extension TimelinePage {
    fileprivate var texts: [String] {
        rows.compactMap { if case .text(let text) = $0.line { text } else { nil } }
    }
}
