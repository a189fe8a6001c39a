package hauspost

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.map

/**
 * What changed, from the collection's begin on.
 *
 * A slow collector holds up nothing but itself: while it works the core collects, each change once.
 */
fun Account.changes(): Flow<List<Change>> = callbackFlow {
    val subscription = observe(observer { trySendBlocking(it) })
    awaitClose { subscription.end() }
}.buffer(Channel.RENDEZVOUS)

/** The newest lines of a conversation: at once, and again when they changed. */
fun Account.newest(conversation: String, limit: UInt = 50u): Flow<TimelinePage> =
    looks { it == Change.Conversation(conversation) || it == Change.EveryConversation }
        .map { timeline(conversation).use { it.page(TimelinePart.Newest, limit) } }
        .distinctUntilChanged()

/** The documents of a conversation that are on their way: at once, and again as they move on. */
fun Account.transfers(conversation: String): Flow<List<Transfer>> =
    looks { it == Change.Conversation(conversation) || it == Change.EveryConversation }
        .map { documents(conversation).use { it.transfers() } }
        .distinctUntilChanged()

/** A document piece by piece; it is fetched if it is not on this phone. */
fun Account.document(conversation: String, messageId: String, position: UInt): Flow<ByteArray> = flow {
    documents(conversation).use { it.read(messageId, position) }.use { stream ->
        for (number in 0u until stream.pieces()) emit(stream.piece(number))
    }
}

/** The first conversations of the list: at once, and again when they changed. */
fun Account.firstConversations(limit: UInt = 50u): Flow<ConversationPage> =
    looks { it == Change.Conversations }
        .map { conversations().use { it.page(null, limit) } }
        .distinctUntilChanged()

/** Who is typing in a conversation, and whether the other person is there: at once, and again when it changed. */
fun Account.presence(conversation: String): Flow<Presence> =
    looks { it == Change.Presence || it == Change.EveryConversation }
        .map { timeline(conversation).use { it.presence() } }
        .distinctUntilChanged()

/** Who this is and whether the company still knows this phone: at once, and again when it changed. */
fun Account.infos(): Flow<AccountInfo> = looks { it == Change.Account }.map { info() }.distinctUntilChanged()

/** What the person must hear of, unseen first: at once, and again when something was raised or seen. */
fun Account.warnings(limit: UInt = 50u): Flow<List<Alarm>> =
    looks { it == Change.Alarms }.map { alarms(limit) }.distinctUntilChanged()

/** A signal to look: one at once, then one after changes that matter. Observing begins before the first look. */
private fun Account.looks(matters: (Change) -> Boolean): Flow<Unit> = callbackFlow {
    val subscription = observe(observer { if (it.any(matters)) trySend(Unit) })
    send(Unit)
    awaitClose { subscription.end() }
}.conflate()

private fun observer(tell: (List<Change>) -> Unit) = object : Observer {
    override fun changed(changes: List<Change>) = tell(changes)
}

private fun Subscription.end() = use { it.stop() }
