package hauspost

/** What happened, for the app: stable, in lower case with hyphens. */
val HauspostException.code: String get() = when (this) { is HauspostException.Failed -> code }

/** Whether the same call can succeed later without anybody doing anything. */
val HauspostException.retryable: Boolean get() = when (this) { is HauspostException.Failed -> retryable }

/** What happened, for people. `message` is for a log. */
val HauspostException.text: String get() = when (this) { is HauspostException.Failed -> text }
