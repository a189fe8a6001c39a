import Hauspost
import Testing

@Test func aTextThatIsNoInvitationIsRefusedWithACodeAndASentenceForPeople() throws {
    #expect {
        try readInvitation(text: "hauspost1:AAAA")
    } throws: { error in
        let error = try #require(error as? HauspostError)
        return error.code == "invitation" && !error.retryable
            && error.localizedDescription.contains("invitation")
    }
}
