import Foundation

/// A company with a real server of its own, founded by its admin's commands; everything ends with `close`.
final class Company: Sendable {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "hauspost-\(UUID().uuidString)")
    private let server: pid_t
    private var keys: String { folder.appending(path: "keys").path }

    init() throws {
        // Rust asks Apple's systems for no SIGPIPE, and Android ignores it; on Linux a process does so itself, or dies
        // when a server goes away.
        signal(SIGPIPE, SIG_IGN)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let data = folder.appending(path: "server")
        server = try spawn(
            ["serve", "--data", data.path, "--listen", "127.0.0.1:0", "--checkpoint-seconds", "1"],
            output: folder.appending(path: "server.out"), errors: folder.appending(path: "server.log"))
        let url = try Self.line(of: folder.appending(path: "server.out"), log: folder.appending(path: "server.log"))
        try run(
            "admin", "found", "--server", url, "--ca", "\(data.path)/ca.pem", "--token", "\(data.path)/founding-token",
            "--name", "Muster GmbH", "--keys", keys)
    }

    func close() {
        kill(server, SIGTERM)
        waitpid(server, nil, 0)
        try? FileManager.default.removeItem(at: folder)
    }

    /// A folder for one phone.
    func phoneFolder(_ name: String) -> String {
        folder.appending(path: name).path
    }

    /// A file with so many bytes of text.
    func file(_ name: String, size: Int) throws -> String {
        let text = String(repeating: "Zeile ", count: size / 6 + 1).prefix(size)
        let file = folder.appending(path: name)
        try text.write(to: file, atomically: false, encoding: .utf8)
        return file.path
    }

    /// What the MDM would deliver to this person's phone.
    func invite(_ shortName: String, name: String) throws -> String {
        try run("admin", "invite", shortName, "--name", name, "--keys", "\(keys)/admin")
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// This person leaves the company.
    func revoke(_ shortName: String) throws {
        try run("admin", "revoke", shortName, "--reason", "left", "--keys", "\(keys)/hr")
    }

    /// The next version of the policy lets people see this; admin, HR and works council sign it.
    func allow(_ items: String...) throws {
        let (file, request) = (folder.appending(path: "policy.toml"), folder.appending(path: "policy.json").path)
        var policy = try run("admin", "policy", "template", "--keys", "\(keys)/admin")
        for item in items {
            policy = policy.replacingOccurrences(of: "\n\(item) = false\n", with: "\n\(item) = true\n")
        }
        try policy.write(to: file, atomically: false, encoding: .utf8)
        try run("admin", "policy", "set", file.path, "--out", request, "--yes", "--keys", "\(keys)/admin")
        for holder in ["hr", "council-1"] {
            try run("admin", "policy", "sign", request, "--yes", "--keys", "\(keys)/\(holder)")
        }
        try run("admin", "policy", "submit", request, "--keys", "\(keys)/admin")
    }

    @discardableResult
    private func run(_ arguments: String...) throws -> String {
        let (output, errors) = (folder.appending(path: "command.out"), folder.appending(path: "command.log"))
        let command = try spawn(arguments, output: output, errors: errors)
        var status: Int32 = 0
        waitpid(command, &status, 0)
        guard status == 0 else { throw Failed(log: text(of: errors)) }
        return text(of: output)
    }

    /// The server's first line is `hauspost serves https://127.0.0.1:PORT`; it is here within five minutes.
    private static func line(of output: URL, log: URL) throws -> String {
        for _ in 0..<15_000 {
            if let line = text(of: output).split(separator: "\n", omittingEmptySubsequences: false).dropLast().first,
                let url = line.split(separator: " ").last
            {
                return String(url)
            }
            usleep(20_000)
        }
        throw Failed(log: text(of: log))
    }

    struct Failed: Error {
        let log: String
    }
}

/// Starts `hauspost` with no signal blocked. Foundation's `Process` hands down the mask of the thread that starts it,
/// and Swift's own threads block all of them: such a server could not be told to stop.
private func spawn(_ arguments: [String], output: URL, errors: URL) throws -> pid_t {
    let binary = ProcessInfo.processInfo.environment["HAUSPOST_BINARY"] ?? "hauspost"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for (descriptor, file) in [(1, output), (2, errors)] {
        posix_spawn_file_actions_addopen(
            &actions, Int32(descriptor), file.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var words = ([binary] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var noEnvironment: [UnsafeMutablePointer<CChar>?] = [nil]
    var process: pid_t = 0
    let code = posix_spawn(&process, binary, &actions, &attributes, &words, &noEnvironment)
    guard code == 0 else { throw Company.Failed(log: "\(binary) does not start: \(code)") }
    return process
}

private func text(of file: URL) -> String {
    (try? String(contentsOf: file, encoding: .utf8)) ?? ""
}
