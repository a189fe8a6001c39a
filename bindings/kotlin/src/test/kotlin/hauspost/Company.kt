package hauspost

import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.deleteRecursively

/** A company with a real server of its own, founded by its admin's commands; everything ends with `close`. */
class Company : AutoCloseable {
    private val folder: Path = Files.createTempDirectory("hauspost-kotlin")
    private val keys = folder.resolve("keys")
    private val log = folder.resolve("server.log").toFile()
    private val server: Process
    private val url: String

    init {
        val data = folder.resolve("server")
        val command = listOf(BINARY, "serve", "--data", "$data", "--listen", "127.0.0.1:0", "--checkpoint-seconds", "1")
        server = ProcessBuilder(command).redirectError(log).start()
        // The first line is `hauspost serves https://127.0.0.1:PORT`.
        val line = server.inputReader().readLine() ?: error("the server did not start: ${log.readText()}")
        url = line.substringAfterLast(' ')
        hauspost(
            "admin", "found", "--server", url, "--ca", "$data/ca.pem", "--token", "$data/founding-token",
            "--name", "Muster GmbH", "--keys", "$keys",
        )
    }

    /** A folder for one phone. */
    fun phoneFolder(name: String): String = folder.resolve(name).toString()

    /** A file with so many bytes of text. */
    fun file(name: String, size: Int): java.io.File =
        folder.resolve(name).toFile().also { it.writeText("Zeile ".repeat(size / 6 + 1).take(size)) }

    /** What the MDM would deliver to this person's phone. */
    fun invite(shortName: String, name: String): String =
        hauspost("admin", "invite", shortName, "--name", name, "--keys", "$keys/admin").trim()

    /** This person leaves the company. */
    fun revoke(shortName: String) {
        hauspost("admin", "revoke", shortName, "--reason", "left", "--keys", "$keys/hr")
    }

    /** The next version of the policy lets people see this; admin, HR and works council sign it. */
    fun allow(vararg items: String) {
        val (file, request) = folder.resolve("policy.toml") to "${folder.resolve("policy.json")}"
        var policy = hauspost("admin", "policy", "template", "--keys", "$keys/admin")
        for (item in items) policy = policy.replace("\n$item = false\n", "\n$item = true\n")
        file.toFile().writeText(policy)
        hauspost("admin", "policy", "set", "$file", "--out", request, "--yes", "--keys", "$keys/admin")
        for (holder in listOf("hr", "council-1")) {
            hauspost("admin", "policy", "sign", request, "--yes", "--keys", "$keys/$holder")
        }
        hauspost("admin", "policy", "submit", request, "--keys", "$keys/admin")
    }

    private fun hauspost(vararg arguments: String): String {
        val errors = folder.resolve("command.log").toFile()
        val process = ProcessBuilder(BINARY, *arguments).redirectError(errors).start()
        val output = process.inputReader().readText()
        check(process.waitFor() == 0) { "hauspost ${arguments.take(2)} failed: ${errors.readText()}" }
        return output
    }

    @OptIn(kotlin.io.path.ExperimentalPathApi::class)
    override fun close() {
        server.destroy()
        if (!server.waitFor(10, TimeUnit.SECONDS)) server.destroyForcibly().waitFor()
        folder.deleteRecursively()
    }

    private companion object {
        val BINARY: String = System.getProperty("hauspost.binary")
    }
}
